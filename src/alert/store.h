/* An alert as a record of the ledger. Private to alert/. */
#ifndef ALERT_STORE_H
#define ALERT_STORE_H

#include "alert/alert.h"

#define ALERT_RECORD STR("alert")

void alert_put_record(struct buf *out, const struct alert *alert);
/* Strings in cx->arena. RC_CORRUPT when it is none of ours. */
enum rc alert_read_record(struct cx *cx, struct str value, struct alert *out) NODISCARD;

#endif
