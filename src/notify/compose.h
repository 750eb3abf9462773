/* The words of a delivery, from its page and the plan. Private to notify/. */
#ifndef NOTIFY_COMPOSE_H
#define NOTIFY_COMPOSE_H

#include "notify/channels.h"
#include "notify/page.h"

/* In cx->arena; strings may point into the page and the plan. `key` signs the link. */
enum rc notify_compose(struct cx *cx, const struct delivery *delivery, const struct plan *plan,
		       const uint8_t *key, const char *external_url,
		       struct notify_message *out) NODISCARD;

#endif
