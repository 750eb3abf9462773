/* What `serve` does with the news of who is on call: a message to who comes on, a page when nobody
 * is. */
#ifndef APP_ROTA_H
#define APP_ROTA_H

#include "alert/alert.h"
#include "notify/notify.h"
#include "oncall/oncall.h"

struct app_rota {
	struct oncalls *oncalls; /* NULL: not open */
	/* set before the loop runs */
	struct notify *notify;
	struct alerts *alerts;
	struct clock *clock;
};

enum rc app_rota_open(struct cx *cx, struct app_rota *rota, struct loop *loop,
		      struct ledger *ledger) NODISCARD;
void app_rota_close(struct app_rota *rota);

#endif
