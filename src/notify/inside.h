/* What notify's files share. Private to notify/. */
#ifndef NOTIFY_INSIDE_H
#define NOTIFY_INSIDE_H

#include "base/map.h"
#include "notify/channels.h"
#include "notify/links.h"
#include "notify/page.h"

#define NOTIFY_MAGIC 0x6e0715f1U
#define NOTIFY_WORK_BUDGET_BYTES (4 << 20)
#define NOTIFY_CHANNEL_RECORD STR("channel")

struct notify {
	unsigned magic;
	struct notify_options options;
	char *external_url;
	struct plan *plan;
	struct notify_channels *channels;
	VEC(struct page *) pages; /* by number */
	uint64_t last_number;
	struct map delivered; /* "slack #ops" -> struct wall on the heap */
	uint8_t key[NOTIFY_LINK_KEY_BYTES];
	struct loop_timer flush;
	struct wall base_wall; /* deadlines run monotonic, and resume from wall time at a restart */
	struct mono base_mono;
	VEC(struct note *) notes; /* under way */
	struct notify_stats stats;
	bool resumed, stopped, closing;
};

/* The plan, the overrides and the time of now. */
struct reach_scene notify_scene(const struct notify *notify);
/* Wall time that no jump of the clock moves. */
struct wall notify_steady_now(const struct notify *notify);

/* Who answered, and waits for it to be recorded. */
struct notify_waiter {
	void (*done)(void *context, enum rc rc);
	void *context;
};

/* step.c: pages step, steps are saved */
#define NOTIFY_KEY_BYTES 24
void notify_page_key(const struct page *page, char out[NOTIFY_KEY_BYTES]);
/* The page's record, one more or none, and why, in one transaction; what it makes durable is then
 * sent. A ledger that takes nothing stops no page. */
void notify_save(struct cx *cx, struct page *page, const struct ledger_entry *entry,
		 const struct ledger_record *also, const struct notify_waiter *waiter);
/* `waiter` (may be NULL) is told once the step is durable, or that it is not. */
void notify_run_step(struct cx *cx, struct page *page, struct escalate_input input,
		     struct str actor, const struct notify_waiter *waiter);
/* The page is `to`'s from now on, if he acknowledges it. */
void notify_run_hand_over(struct cx *cx, struct page *page, const struct person *to,
			  struct str actor, const struct notify_waiter *waiter);
void notify_arm(struct page *page, struct wall wake);
void notify_page_due(struct loop_timer *timer, void *owner);
/* Whoever was told last that it goes on, or may have been, is told that it is over; once saved. */
void notify_tell_resolved(struct page *page);
void notify_put_way(struct buf *out, const char *kind, const char *target, const char *person);
void notify_with_cx(struct notify *notify, void (*work)(struct cx *cx, void *context),
		    void *context);

/* note.c: plain messages to one person */
void notify_notes_release(struct notify *notify);

/* outbox.c: what is saved is sent, tried again, sent by another way */
void notify_send_released(struct page *page);
void notify_send_held(struct page *page); /* it goes on: what waited for its next try */
void notify_note_delivered(struct notify *notify, const char *key, struct wall at);

#endif
