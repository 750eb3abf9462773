/* What the readers of the site file share: one file for each thing that is read. Private to
 * manual/. */
#ifndef MANUAL_SITE_H
#define MANUAL_SITE_H

#include "conf/conf.h"
#include "manual/compiler.h"

struct site_reader {
	struct compiler *c;
	struct conf_report report;
};

struct place site_node_place(const struct conf_node *node);
struct place site_entry_place(const struct conf_entry *entry);

#define SITE_READ(r, node, what, keys, target)                                                     \
	conf_read(&(r)->c->plan_cx, (node), (what), (keys), sizeof(keys) / sizeof((keys)[0]),      \
		  (target), &(r)->report)

/* A map whose keys are names; false when it is something else (told). */
bool site_is_map(struct site_reader *r, const struct conf_node *node, const char *what);
/* "name@host", without anything that could end a header. */
bool site_mail_valid(const char *text);
/* "http://..." or "https://...". */
bool site_address_valid(const char *url);
/* The address as it may be shown: it becomes a label of every sample. Who signs in by it, and its
 * query, may be secrets. */
const char *site_shown_address(struct compiler *c, const char *url);
/* Tells when `url` is given and is no such address. */
void site_check_http(struct site_reader *r, const struct conf_node *node, const char *what,
		     const char *url);

/* site_people.c: who is who, whom the document means. */
enum rc site_read_people(struct site_reader *r, const struct conf_node *node) NODISCARD;
/* site_contact.c: how a person wants to be reached */
enum rc site_read_contact_rules(struct site_reader *r, const struct conf_node *node,
				struct person *person) NODISCARD;
/* site_oncall.c */
/* A zone of the system; told when there is none of that name. */
enum rc site_read_zone(struct site_reader *r, const struct conf_node *node,
		       const struct zone **out) NODISCARD;
enum rc site_read_timezone(struct site_reader *r, const struct conf_node *node) NODISCARD;
enum rc site_read_oncall(struct site_reader *r, const struct conf_node *node) NODISCARD;
void site_read_contacts(struct site_reader *r, const struct conf_node *node);
/* site_components.c */
enum rc site_read_components(struct site_reader *r, const struct conf_node *node) NODISCARD;
/* site_providers.c */
enum rc site_read_providers(struct site_reader *r, const struct conf_node *node) NODISCARD;
/* site_runbooks.c */
enum rc site_read_runbooks(struct site_reader *r, const struct conf_node *node) NODISCARD;
/* site_heartbeats.c: what must report to us, and to whom we report */
enum rc site_read_heartbeats(struct site_reader *r, const struct conf_node *node) NODISCARD;
enum rc site_read_watchers(struct site_reader *r, const struct conf_node *node) NODISCARD;
/* site_metrics.c */
enum rc site_read_metrics(struct site_reader *r, const struct conf_node *node) NODISCARD;

#endif
