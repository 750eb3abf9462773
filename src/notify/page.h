/* A page: a demand on people, with its alerts and deliveries, and its record in the ledger. Private
 * to notify/. */
#ifndef NOTIFY_PAGE_H
#define NOTIFY_PAGE_H

#include "notify/escalate.h"
#include "notify/notify.h"
#include "notify/reach.h"

#define PAGE_RECORD STR("page")
#define PAGE_ID_BYTES 24
/* Alerts kept of one page; what fires beyond them is counted, and told again by its rule once they
 * are over. */
#define PAGE_ALERTS_LIMIT 1000

struct page_alert {
	struct arena arena;
	uint64_t hash; /* of the labels */
	struct str rule_id;
	struct labels labels, annotations;
	double value;
	enum priority priority;
	bool firing;
	struct str muted; /* why nobody is called for it; "" they are */
	bool told;        /* since the start: what is not told again after a restart is over */
	struct wall since;
};

enum delivery_state { DELIVERY_WAITING, DELIVERY_DELIVERED, DELIVERY_FAILED };
const char *notify_delivery_state_name(enum delivery_state state);

struct page;

struct delivery {
	struct page *page;
	int number; /* in the page, from 1 */
	size_t step;
	enum channel_kind kind;
	char *target, *person; /* NULL none */
	enum delivery_state state;
	bool resolved; /* tells that it is over */
	bool possible_repeat, not_recorded;
	char *thread, *detail;
	struct wall ended;
	struct wall due; /* steady; 0: at once */
	/* of this process */
	uint64_t save; /* the number of its page's save that makes it durable */
	bool released; /* durable, or known not to be */
	bool busy;     /* a channel will call back */
	bool stood_in; /* it waits for long: another way was taken meanwhile */
	int tries;
	struct loop_timer again;
};

struct page {
	struct notify *notify;
	uint64_t number;
	char id[PAGE_ID_BYTES]; /* "P-17" */
	char *group, *name, *component;
	struct escalate run;
	struct wall opened;
	bool drill; /* resolved from its beginning */
	char *acknowledged_by, *resolved_by;
	VEC(struct page_alert *) alerts; /* of PAGE_ALERTS_LIMIT */
	VEC(struct delivery *) deliveries;
	VEC(uint64_t) beyond; /* hashes of what fires and is not kept; of this process */
	size_t round_from;    /* deliveries before it are of an earlier round: it was paged again */
	/* of this process */
	uint64_t saves_begun, saves_done;
	bool dirty; /* news of its alerts wait to be weighed */
	struct loop_timer timer;
};

struct page *notify_page_new(struct notify *notify, uint64_t number, struct str group);
void notify_page_free(struct page **page); /* timers must not be armed */
/* Sets or renews the alert with these labels; NULL when the page is full of what fires and is no
 * less urgent. */
struct page_alert *notify_page_set_alert(struct page *page, const struct notify_event *event,
					 enum priority priority);
/* The worst that fires and is not muted, the oldest of them first; else a muted one; the last one
 * that fired when none does. */
const struct page_alert *notify_page_worst(const struct page *page);
/* How many fire, kept or not. */
size_t notify_page_firing_count(const struct page *page);
struct delivery *notify_page_add(struct page *page, size_t step, const struct reach_way *way,
				 bool resolved);
/* Nothing fires, and every delivery has ended. */
bool notify_page_is_done(const struct page *page);

void notify_page_put(struct buf *out, const struct page *page);
/* RC_CORRUPT when it is none of ours. */
enum rc notify_page_read(struct cx *cx, struct notify *notify, struct str value,
			 struct page **out) NODISCARD;

#endif
