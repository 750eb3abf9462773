/* Where targets are told: in the file, in other files, by DNS, by a server. */
#include <stddef.h>

#include "prometheus/inside.h"

#define REFRESH_FILES_MS 300000
#define REFRESH_DNS_MS 30000
#define REFRESH_HTTP_MS 60000

struct group_nodes {
	const struct conf_node *targets, *labels;
};

static const struct conf_key group_keys[] = {
	{"targets", CONF_NODE, offsetof(struct group_nodes, targets), "a list", false},
	{"labels", CONF_NODE, offsetof(struct group_nodes, labels), "a map", false},
};

bool prometheus_foreign_discovery(struct prometheus_reader *r, const struct conf_node *map)
{
	static const char *const known[] = {"static_configs", "dns_sd_configs", "file_sd_configs",
					    "http_sd_configs"};
	bool found = false;
	for (size_t i = 0; map->kind == CONF_MAP && i < map->entry_count; i++) {
		const struct conf_entry *entry = &map->entries[i];
		bool taken = !str_ends(entry->key, STR("_sd_configs"));
		for (size_t k = 0; k < 4; k++)
			taken = taken || str_eq(entry->key, str_of(known[k]));
		if (taken)
			continue;
		found = true;
		conf_tell(r->cx, &r->report, entry->line, entry->column,
			  "Write the targets by file_sd_configs or serve them for http_sd_configs.",
			  "'" STR_FMT "' is not supported", STR_ARG(entry->key));
	}
	return found;
}

static enum rc read_group(struct prometheus_reader *r, const struct conf_node *node,
			  const char *source, struct prometheus_group *out)
{
	struct group_nodes nodes = {0};
	out->source = source;
	if (node->is_null) {
		prometheus_tell(r, node, NULL, "empty or null target group");
		return RC_OK;
	}
	TRY(PROMETHEUS_READ(r, node, "a target group", group_keys, &nodes));
	TRY(prometheus_read_words(r, nodes.targets, "targets", &out->targets, &out->target_count));
	return prometheus_read_labels(r, nodes.labels, "labels", &out->labels);
}

static enum rc read_groups(struct prometheus_reader *r, const struct conf_node *node,
			   const char *source, struct prometheus_groups *out)
{
	*out = (struct prometheus_groups){0};
	if (!prometheus_is_list(r, node, "target groups"))
		return RC_OK;
	out->v = cx_array(r->cx, node->item_count, sizeof(*out->v));
	if (out->v == NULL)
		return RC_LIMIT;
	for (size_t i = 0; i < node->item_count; i++) {
		const char *name = source == NULL ? cx_printf(r->cx, "%zu", i)
						  : cx_printf(r->cx, "%s:%zu", source, i);
		if (name == NULL)
			return RC_LIMIT;
		TRY(read_group(r, node->items[i], name, &out->v[out->n++]));
	}
	return RC_OK;
}

static enum rc read_dns(struct prometheus_reader *r, const struct conf_node *node,
			struct prometheus_dns *out)
{
	struct given {
		const struct conf_node *names;
		const char *type;
		uint64_t port;
		struct dur refresh;
	} given = {.type = "SRV", .refresh = {REFRESH_DNS_MS}};
	static const struct conf_key keys[] = {
		{"names", CONF_NODE, offsetof(struct given, names), "a list", false},
		{"type", CONF_TEXT, offsetof(struct given, type), "", false},
		{"port", CONF_COUNT, offsetof(struct given, port), "", false},
		{"refresh_interval", CONF_SPAN, offsetof(struct given, refresh), "", false},
	};
	TRY(PROMETHEUS_READ(r, node, "dns_sd_configs", keys, &given));
	TRY(prometheus_read_words(r, given.names, "names", &out->names, &out->name_count));
	bool srv = str_eq_nocase(str_of(given.type), STR("SRV"));
	if (out->name_count == 0)
		prometheus_tell(r, node, NULL,
				"DNS-SD config must contain at least one SRV record name");
	if (!srv && !str_eq_nocase(str_of(given.type), STR("A")) &&
	    !str_eq_nocase(str_of(given.type), STR("AAAA")))
		prometheus_tell(r, node, "There are SRV, A and AAAA.",
				"DNS-SD records of type '%s' are not supported", given.type);
	else if (!srv && given.port == 0)
		prometheus_tell(r, node, NULL,
				"a port is required in DNS-SD configs for all record types except "
				"SRV");
	out->type = given.type;
	out->port = given.port;
	out->refresh = given.refresh;
	return RC_OK;
}

/* The last part may hold one '*'; the name ends with .json, .yml or .yaml. */
static bool is_file_pattern(struct str path)
{
	const char *star = memchr(path.p, '*', path.n);
	struct str behind = star == NULL ? STR("") : str_skip(path, (size_t)(star - path.p) + 1);
	return (str_ends(path, STR(".json")) || str_ends(path, STR(".yml")) ||
		str_ends(path, STR(".yaml"))) &&
	       memchr(behind.p, '*', behind.n) == NULL && memchr(behind.p, '/', behind.n) == NULL;
}

static enum rc read_files(struct prometheus_reader *r, const struct conf_node *node,
			  struct prometheus_files *out)
{
	struct given {
		const struct conf_node *files;
		struct dur refresh;
	} given = {.refresh = {REFRESH_FILES_MS}};
	static const struct conf_key keys[] = {
		{"files", CONF_NODE, offsetof(struct given, files), "a list", false},
		{"refresh_interval", CONF_SPAN, offsetof(struct given, refresh), "", false},
	};
	struct str *names;
	size_t count;
	TRY(PROMETHEUS_READ(r, node, "file_sd_configs", keys, &given));
	TRY(prometheus_read_words(r, given.files, "files", &names, &count));
	out->refresh = given.refresh;
	out->paths = cx_array(r->cx, count + 1, sizeof(*out->paths));
	if (out->paths == NULL)
		return RC_LIMIT;
	if (count == 0)
		prometheus_tell(
			r, node, NULL,
			"file service discovery config must contain at least one path name");
	for (size_t i = 0; i < count; i++) {
		const char *path = str_dup(r->cx->arena, names[i]);
		if (!is_file_pattern(names[i]))
			prometheus_tell(r, given.files, "The name ends with .json, .yml or .yaml.",
					"path name '" STR_FMT "' is not valid for file discovery",
					STR_ARG(names[i]));
		out->paths[out->path_count++] = prometheus_join(r, path == NULL ? "" : path);
	}
	return RC_OK;
}

static enum rc read_server(struct prometheus_reader *r, const struct conf_node *node,
			   struct prometheus_http_discovery *out)
{
	struct given {
		struct prometheus_http_discovery server;
		struct prometheus_http_nodes nodes;
	} given = {.server = {.refresh = {REFRESH_HTTP_MS}, .url = ""}};
	static const struct conf_key keys[] = {
		{"url", CONF_TEXT, offsetof(struct given, server.url), "", false},
		{"refresh_interval", CONF_SPAN, offsetof(struct given, server.refresh), "", false},
		PROMETHEUS_HTTP_KEYS(struct given, server.http, nodes)};
	prometheus_http_defaults(&given.server.http);
	TRY(PROMETHEUS_READ(r, node, "http_sd_configs", keys, &given));
	TRY(prometheus_read_http(r, node, &given.nodes, &given.server.http));
	if (!prometheus_url_valid(str_of(given.server.url)))
		prometheus_tell(r, node, "Write http://host/path or https://host/path.",
				"the url '%s' is not one", given.server.url);
	*out = given.server;
	return RC_OK;
}

/* Each of a list of maps into an element of an array. */
#define READ_LIST(r, node, what, list, count, read)                                                \
	do {                                                                                       \
		if (!prometheus_is_list(r, node, what))                                            \
			break;                                                                     \
		(list) = cx_array((r)->cx, (node)->item_count, sizeof(*(list)));                   \
		if ((list) == NULL)                                                                \
			return RC_LIMIT;                                                           \
		for (size_t i = 0; i < (node)->item_count; i++)                                    \
			TRY(read(r, (node)->items[i], &(list)[(count)++]));                        \
	} while (0)

enum rc prometheus_read_discovery(struct prometheus_reader *r,
				  const struct prometheus_discovery_nodes *nodes,
				  struct prometheus_discovery *out)
{
	TRY(read_groups(r, nodes->groups, NULL, &out->groups));
	READ_LIST(r, nodes->dns, "dns_sd_configs", out->dns, out->dns_count, read_dns);
	READ_LIST(r, nodes->files, "file_sd_configs", out->files, out->files_count, read_files);
	READ_LIST(r, nodes->http, "http_sd_configs", out->http, out->http_count, read_server);
	return RC_OK;
}

enum rc prometheus_read_groups(struct cx *cx, const char *path, struct str text,
			       struct prometheus_groups *out)
{
	struct prometheus_reader r;
	struct conf_node *root;
	prometheus_reader_init(&r, cx, path, text, NULL);
	*out = (struct prometheus_groups){0};
	/* JSON is YAML, but for tabs and escapes that hardly occur */
	enum rc rc = conf_parse_foreign(cx, text, &r.report, &root);
	if (rc == RC_OK && r.rc == RC_OK)
		rc = read_groups(&r, root, path, out);
	prometheus_reader_release(&r);
	return rc != RC_OK ? rc : r.rc;
}
