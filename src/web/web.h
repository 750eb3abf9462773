/* What is served: Prometheus' API, ours, the pages. One table of routes states each one's
 * credential. */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include "alert/alert.h"
#include "collect/collect.h"
#include "duty/duty.h"
#include "heartbeat/heartbeat.h"
#include "ledger/ledger.h"
#include "notify/notify.h"
#include "oncall/oncall.h"
#include "promise/promise.h"
#include "promql/promql.h"
#include "remote/remote.h"
#include "route/route.h"
#include "rules/rules.h"
#include "sys/http_server.h"
#include "tsdb/tsdb.h"

struct web;

struct web_options {
	struct loop *loop;
	const char *address;
	uint16_t port;
	const char *data_path; /* the socket, the first link and the sessions stand there */
	bool auth_off;         /* RC_INVALID unless the address is loopback */
	struct tsdb *tsdb;
	struct remote *remote;
	struct promises *promises;
	struct collect *collect;
	struct ledger *ledger;
	struct alerts *alerts;
	struct rules *rules;
	struct route *route;
	struct notify *notify;
	struct duties *duties;
	struct heartbeats *heartbeats;
	struct oncalls *oncalls;
	struct plan *(*plan)(void *context);             /* the present one, not counted */
	struct prometheus *(*prometheus)(void *context); /* NULL: none; not counted */
	/* Reads the files again. RC_INVALID when they do not compile, RC_CONFLICT when an enforced
	 * promise would vanish and accept is false; the text for people goes to `out`. */
	enum rc (*reload)(void *context, struct cx *cx, bool accept, struct buf *out);
	void *context;
};

enum rc web_open(struct cx *cx, const struct web_options *options, struct web **out) NODISCARD;
void web_close(struct web **web);
/* A new plan: requests may name its public address. */
void web_set_plan(struct web *web, const struct plan *plan);
uint16_t web_port(const struct web *web);
/* The path of the one-time link that makes the administrator; NULL when there is one already. */
const char *web_first_link(const struct web *web);
/* Our own metrics in the text format. */
void web_metrics(struct web *web, struct buf *out);

#endif
