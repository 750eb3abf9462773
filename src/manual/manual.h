/* The manual compiler: operations-manual.md and site.yaml to one checked, immutable plan.
 *
 * A plan is counted (plan_ref/plan_unref), never changed after manual_compile(), and may be read by
 * any thread. Everything in it lives in its own arena. Reload compiles a new plan and swaps a
 * pointer; a failed compile changes nothing. */
#ifndef MANUAL_MANUAL_H
#define MANUAL_MANUAL_H

#include "base/cx.h"
#include "model/labels.h"
#include "schedule/cron.h"
#include "schedule/schedule.h"

/* ---- where a thing stands ---- */

enum manual_file { MANUAL_DOCUMENT, MANUAL_SITE };

struct place {
	enum manual_file file;
	int line, column; /* from 1; 0 unknown */
};

/* ---- diagnostics: all of them in one go ---- */

struct diagnostic {
	bool is_error; /* else a warning or a thing missing */
	struct place place;
	const char *path; /* file as the user named it */
	const char *message;
	const char *quoted; /* the line, or what of it is around the place; NULL none */
	size_t caret;       /* byte of `quoted` that is meant */
	const char *hint;   /* NULL none */
};

struct diagnostics {
	VEC(struct diagnostic) list;
	size_t errors;
};

/* ---- promises ---- */

enum promise_kind {
	PROMISE_COMPONENT,
	PROMISE_TOOL,
	PROMISE_PANEL,
	PROMISE_THRESHOLD,
	PROMISE_CHANNEL,
	PROMISE_ESCALATION,
	PROMISE_SEVERITY,
	PROMISE_ROLE,
	PROMISE_WORKFLOW,
	PROMISE_TEMPLATE,
	PROMISE_BACKUP,
	PROMISE_OBJECTIVE,
	PROMISE_VERIFICATION,
	PROMISE_WINDOW,
	PROMISE_DUTY,
	PROMISE_CHECKLIST,
	PROMISE_CHANGE,
	PROMISE_SCRIPT,
	PROMISE_PROSE,
	PROMISE_KINDS
};
const char *promise_kind_name(enum promise_kind kind); /* "threshold" */

enum promise_proof { PROOF_MEASURED, PROOF_DRILL, PROOF_RECORD, PROOF_NONE };
const char *promise_proof_name(enum promise_proof proof); /* "measured" */

struct promise {
	const char *id; /* slug of heading path and key; never its line or number */
	enum promise_kind kind;
	struct place place;
	const char *heading; /* "Monitoring and Alerting / Alerting Configuration / ..." */
	const char *chapter; /* first part of it */
	const char *text;    /* as the document says it, one line */
	enum promise_proof proof;
	const char *proved_by;  /* for people: "measured every 15 s by rule
				   api-response-time-critical" */
	const char *missing;    /* what is missing to enforce it; NULL nothing */
	struct dur proof_valid; /* how old a proof may be; 0 for measured */
	size_t index;           /* in plan->promises */
};

/* ---- priorities, people, components ---- */

enum priority { PRIORITY_LOW, PRIORITY_MEDIUM, PRIORITY_HIGH, PRIORITY_CRITICAL, PRIORITIES };
const char *priority_name(enum priority priority); /* "critical" */
bool priority_named(struct str name, enum priority *out);

enum tier { TIER_CRITICAL, TIER_MAJOR, TIER_NON_CRITICAL };

enum channel_kind {
	CHANNEL_EMAIL,
	CHANNEL_SLACK,
	CHANNEL_SMS,
	CHANNEL_CALL,
	CHANNEL_TELEGRAM,
	CHANNEL_WEBHOOK,
	CHANNEL_LOG /* the embedded default: the log and the page, nobody else */
};
const char *channel_kind_name(enum channel_kind kind);

/* How a person wants to be reached: "SMS at once, call after 2 min". Only by kinds that go to a
 * person, and only where the person has the address. */
struct contact_rule {
	enum channel_kind kind;
	struct dur after; /* from the step that reaches the person */
};
struct contact_rules {
	struct contact_rule *rules; /* soonest first */
	size_t rule_count;          /* 0: the person says nothing, the manual's channels are used */
};

struct person {
	const char *id, *title, *email, *phone, *slack, *telegram; /* absent: NULL */
	struct contact_rules contact[PRIORITIES];
	struct place place;
};
/* The person's own address for messages of that kind; NULL: none. */
const char *person_address(const struct person *person, enum channel_kind kind);

/* On call: a schedule whose people are ids of `people`. */
struct oncall {
	struct schedule schedule;
	struct dur notice; /* who comes on call is told so long before; 0: not told */
	struct place place;
};

/* A name the document uses ("Ops Team"), bound in the site file. */
struct contact {
	const char *name;
	const struct oncall *oncall; /* one of these two, or neither: unbound */
	const struct person *person;
	const char *mail_group; /* e-mail address for a whole team; NULL */
};
/* Who is meant by a contact at an instant: its person, or who is on call, overrides counted (NULL:
 * there are none). NULL: nobody. */
struct plan;
const struct person *contact_person(const struct plan *plan, const struct contact *contact,
				    const struct schedule_overrides *overrides, struct wall at);

enum component_kind {
	COMPONENT_CDN,
	COMPONENT_WEB,
	COMPONENT_WASM,
	COMPONENT_HTTP_API,
	COMPONENT_POSTGRES,
	COMPONENT_JAMENDO,
	COMPONENT_TELEGRAM,
	COMPONENT_TON,
	COMPONENT_HOST,
	COMPONENT_AUTH,
	COMPONENT_EXPORTER /* anything with a /metrics */
};

struct component {
	const char *id, *title;
	enum component_kind kind;
	enum tier tier;
	const char *url;         /* probed; NULL none */
	const char *metrics_url; /* scraped; NULL none */
	const char *dsn;         /* secret: never shown */
	const char *owner;
	const struct component **needs;
	size_t needs_count;
	struct place place;
	/* probe options */
	int expect_status; /* 0: any 2xx */
	const char *body_contains, *body_regex, *body_pointer,
		*body_equals; /* JSON pointer, value */
	unsigned redirects;
	bool insecure_tls;
};

/* ---- what is measured by itself ---- */

enum job_kind { JOB_HOST, JOB_SCRAPE, JOB_PROBE_HTTP };

/* One thing to collect. Labels job and instance, plus component, are put on every sample. */
struct collect_job {
	enum job_kind kind;
	const char *name;                     /* "job" label */
	const char *instance;                 /* the address as it may be shown, or a name */
	const struct component *component;    /* NULL for ourselves and plain scrape jobs */
	const char *url;                      /* may hold secrets: never shown */
	struct dur interval, timeout;         /* defaults 15 s, 10 s */
	size_t body_limit_bytes;              /* default 16 MiB */
	const char *bearer, *user, *password; /* secrets */
	bool insecure_tls, honor_labels;
};

/* ---- thresholds and rules ---- */

enum limit_level { LIMIT_WARNING, LIMIT_CRITICAL };

struct threshold_limit {
	enum limit_level level;
	bool above;       /* > (else <) */
	double value;     /* in the measure's base unit: seconds, ratio 0..1 */
	const char *text; /* "> 500ms" */
	enum priority priority;
	const struct promise *promise;
	const char *rule_id; /* rule that watches it; NULL when not enforced */
};

struct threshold {
	const char *id;         /* "api-response-time" */
	const char *metric;     /* "API Response Time" */
	const char *measure;    /* id of the measure in kinds/; NULL: unknown */
	const char *unit;       /* "s", "ratio" */
	const char *alert_type; /* "Performance" */
	const char *value_expr; /* PromQL of the value, without comparison; NULL when not measured
				   here */
	const char *data_expr;  /* PromQL that is non-empty while there is enough fresh data */
	const struct component *component; /* NULL: none bound */
	struct dur hold;
	struct dur clear_after; /* no more beyond a limit for so long, it is over; -1: as hold */
	struct threshold_limit *limits;
	size_t limit_count;
	struct place place;
};

/* The priority of a limit crossed at a component, by its tier: see reading-the-manual. NULL: as of
 * tier critical. */
enum priority priority_of_limit(const struct threshold *threshold,
				const struct threshold_limit *limit,
				const struct component *component);

enum rule_kind { RULE_ALERTING, RULE_RECORDING };

struct rule {
	const char *id; /* stable; verdicts carry it */
	enum rule_kind kind;
	const char *name; /* alertname or recorded metric */
	const char *expr; /* PromQL */
	struct dur hold, keep_firing;
	unsigned flap_limit; /* of the manual's limits; 0: no damping */
	struct dur flap_quiet;
	struct label *labels; /* templates allowed */
	size_t label_count;
	struct label *annotations;
	size_t annotation_count;
	const struct threshold *threshold; /* NULL for rule files */
	const struct threshold_limit *limit;
};
struct rule_group {
	const char *name;
	struct dur interval; /* default 15 s */
	struct rule *rules;
	size_t rule_count;
};

/* ---- from an alert to a person ---- */

struct channel {
	enum channel_kind kind;
	const char *target; /* "#critical-alerts", webhook name; NULL: the person's own address */
	const struct promise *promise;
};

struct priority_channels {
	struct channel *channels;
	size_t channel_count;
	struct place place;
};

enum escalation_wait { WAIT_NONE, WAIT_ACKNOWLEDGED, WAIT_RESOLVED };

/* "After `after` without acknowledgement (or resolution), reach `contact` by `channels`." The first
 * step has after 0 and WAIT_NONE. Sorted by after. */
struct escalation_step {
	enum escalation_wait wait;
	struct dur after;              /* from the first send */
	const struct contact *contact; /* NULL: the channel alone (a Slack channel) */
	const char *text;              /* "Secondary Contact" */
	const struct promise *promise;
};
struct escalation {
	struct escalation_step *steps;
	size_t step_count;
	struct dur repage_after; /* acknowledged, not resolved; critical: 30 min; 0 never */
	struct place place;
};

struct providers {
	struct {
		const char *url, *user, *password, *from, *ca_file;
		bool insecure_tls;
	} smtp;
	struct {
		const char *token, *webhook_url, *signing_secret, *api_url;
	} slack;
	struct {
		const char *account, *token, *from, *api_url;
	} twilio;
	struct {
		const char *token, *api_url;
	} telegram;
	struct {
		const char *name, *url, *bearer;
	} * webhooks;
	size_t webhook_count;
};

/* ---- incidents, backups, calendar ---- */

struct severity {
	const char *name, *title, *impact, *communication; /* "SEV-1", "Critical" */
	struct dur response;
	const struct promise *promise;
};
struct role {
	const char *name, *primary, *secondary;
	const char **responsibilities;
	size_t responsibility_count;
};

struct workflow_edge {
	size_t to;          /* node */
	const char *answer; /* "Yes", NULL for an unlabelled way on */
};
struct workflow_node {
	const char *key, *text; /* "F", "Requires Immediate Action?" */
	bool is_decision;
	struct workflow_edge *edges;
	size_t edge_count;
	struct place place;
};
struct workflow {
	const char *id, *title;
	struct workflow_node *nodes; /* [0] is the start */
	size_t node_count;
};

struct backup_policy {
	const char *id, *title; /* "full-backups" */
	struct dur every, keep;
	const char *storage, *verification;
};
struct objective {
	const char *name; /* "Database", "Critical Services" */
	bool is_rpo;      /* else RTO */
	struct dur within;
};
struct window {
	const char *name;     /* "Primary Window" */
	bool recurring;       /* false: emergency, as needed */
	int weekday;          /* 0 Sunday .. 6 */
	int from_min, to_min; /* minutes of the UTC day */
};
enum cadence {
	CADENCE_ONCE,
	CADENCE_DAILY,
	CADENCE_WEEKLY,
	CADENCE_MONTHLY,
	CADENCE_QUARTERLY,
	CADENCE_YEARLY
};
struct duty_plan {
	const char *id, *title, *text;
	enum cadence cadence;
	const char *owner; /* contact or role name; NULL unbound */
	const struct promise *promise;
};
struct checklist {
	const char *id, *title;
	const char **items;
	size_t item_count;
};
struct change_category {
	const char *name, *text;
	bool needs_approval, expedited;
};

/* A cluster that every sample is sent to as well. */
struct remote_pair {
	const char *name, *value;
};
struct remote_target {
	const char *name, *url; /* name: as its series and its place in the queue are known */
	const char *bearer, *user, *password; /* secrets */
	const char *ca_file;
	bool insecure_tls;
	struct remote_pair *headers; /* values are secrets */
	size_t header_count;
};

/* How the metrics are kept; 0: the store's default, but of sync_every each batch. Read at the
 * start. */
struct metrics_plan {
	struct dur retention, out_of_order, sync_every;
	uint64_t retention_bytes, series_limit, job_series_limit;
	struct remote_target *remotes; /* these at each reload */
	size_t remote_count;
	struct remote_pair *external; /* labels that samples get on their way */
	size_t external_count;
};

/* ---- runbooks ---- */

/* What to do, for a metric of the manual, an alert, or a component. */
struct runbook {
	const char *name; /* as in the site file: "API Response Time", "api" */
	const char *slug; /* of it, in addresses */
	const char *url;  /* elsewhere; NULL: a file beside the manual */
	const char *text; /* the file's Markdown; NULL when it could not be read */
};

/* ---- heartbeats ---- */

/* A job that must report. */
struct heartbeat_plan {
	const char *name, *owner;          /* owner NULL: nobody's */
	const struct component *component; /* NULL: of none */
	const char *schedule;              /* "every 1h", or the cron line */
	struct dur every;                  /* 0: by `cron` */
	struct cron cron;
	const struct zone *zone; /* of `cron` */
	struct dur grace;
	enum priority priority;
};

/* An address that we report to, as long as we are well. */
struct watcher_plan {
	const char *name;
	const char *url;   /* may be a capability: never shown */
	const char *shown; /* the host alone */
	bool posts;        /* else GET */
	struct dur every, timeout;
	struct dur patience; /* failing for so long is an alert */
	enum priority priority;
};

/* ---- the plan ---- */

struct plan {
	unsigned magic;
	uint64_t generation;                   /* counts compiles in this process */
	const char *document_path, *site_path; /* NULL site */
	const char *document;                  /* bytes of the document, for the manual's page */
	size_t document_length;
	const char *site_name; /* "TuneTON"; "Backline" by default */
	const char *public_url;
	char digest[65];  /* SHA-256 of both files, hex */
	uint64_t secrets; /* hash of what the site file's references brought in; never shown */

	struct promise *promises;
	size_t promise_count;
	struct threshold *thresholds;
	size_t threshold_count;
	struct rule_group *rule_groups;
	size_t rule_group_count;
	struct priority_channels channels[PRIORITIES];
	struct escalation escalations[PRIORITIES];
	struct severity *severities;
	size_t severity_count;
	struct role *roles;
	size_t role_count;
	struct workflow *workflows;
	size_t workflow_count;
	const char *report_template;
	struct backup_policy *backups;
	size_t backup_count;
	struct objective *objectives;
	size_t objective_count;
	struct window *windows;
	size_t window_count;
	struct duty_plan *duties;
	size_t duty_count;
	struct checklist *checklists;
	size_t checklist_count;
	struct change_category *changes;
	size_t change_count;

	struct component *components;
	size_t component_count;
	struct person *people;
	size_t person_count;
	const struct zone *zone; /* of the site; UTC by default */
	struct oncall *oncalls;
	size_t oncall_count;
	struct contact *contacts;
	size_t contact_count;
	struct collect_job *jobs;
	size_t job_count;
	struct providers providers;
	struct metrics_plan metrics;
	struct runbook *runbooks;
	size_t runbook_count;
	struct heartbeat_plan *heartbeats;
	size_t heartbeat_count;
	struct watcher_plan *watchers;
	size_t watcher_count;
	const char **rule_files; /* Prometheus rule files: globs, from the site file's folder on */
	size_t rule_file_count;
};

struct manual_input {
	const char *document_path; /* shown in diagnostics */
	struct str document;
	const char *site_path; /* NULL: no site file */
	struct str site;
	bool require_site; /* unbound names are errors */
};

/* RC_INVALID with at least one error in `diagnostics` (which live in cx->arena) when it does not
 * compile; *out is then NULL. Warnings and missing things are listed either way. Worker or start.
 */
enum rc manual_compile(struct cx *cx, const struct manual_input *input,
		       struct diagnostics *diagnostics, struct plan **out) NODISCARD;
/* NULL when the plan has none of that id. */
const struct rule *plan_rule(const struct plan *plan, struct str id);
const struct component *plan_component(const struct plan *plan, struct str id);
/* That of the metric or alert, else that of the component. */
const struct runbook *plan_runbook(const struct plan *plan, struct str name, struct str component);
const struct runbook *plan_runbook_slug(const struct plan *plan, struct str slug);
const struct person *plan_person(const struct plan *plan, struct str id);
const struct oncall *plan_oncall(const struct plan *plan, struct str id);
struct plan *plan_ref(struct plan *plan); /* any thread */
void plan_unref(struct plan **plan);

/* Adds an error for each time within which nobody is on call, in local time and UTC, in cx->arena.
 */
#define MANUAL_COVERED_DAYS 90
enum rc manual_uncovered(struct cx *cx, const struct plan *plan,
			 const struct schedule_overrides *overrides, struct wall from,
			 struct dur within, struct diagnostics *diagnostics) NODISCARD;

/* file:line:column: error: message / the line / a caret / hint. */
void manual_print_diagnostic(struct buf *out, const struct diagnostic *diagnostic, bool colour);
/* JSON line for --json on stderr. */
void manual_diagnostic_json(struct buf *out, const struct diagnostic *diagnostic);
/* The array of `check --json`; the table of `check`. */
void manual_promises_json(struct buf *out, const struct plan *plan);
void manual_promises_text(struct buf *out, const struct plan *plan, bool colour, int columns);
/* `rules print`: a Prometheus rule file that promtool accepts. */
void manual_rules_yaml(struct buf *out, const struct plan *plan);

enum plan_change_kind { PLAN_ADDED, PLAN_REMOVED, PLAN_WEAKENED, PLAN_CHANGED };
struct plan_change {
	enum plan_change_kind kind;
	const char *promise_id, *before, *after;
	bool enforced; /* the old one was enforced: removal waits for --accept */
};
/* Differences promise by promise, in cx->arena. */
enum rc manual_compare(struct cx *cx, const struct plan *before, const struct plan *after,
		       struct plan_change **out, size_t *count) NODISCARD;

/* Why a channel cannot be used as the site file stands; NULL: it can. */
const char *channel_lacks(const struct plan *plan, const struct channel *channel);

/* What ships in the binary. */
struct str manual_embedded_document(void);
struct str manual_embedded_site(void);

#endif
