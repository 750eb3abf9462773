/* Names to targets, by the system's resolver: SRV, A, AAAA and MX records. */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <stdlib.h>

#include "collect/pool.h"

#define ANSWER_BYTES 65536
#define RECORDS_LIMIT 10000

struct lookup {
	struct cx cx; /* of the part */
	struct part *part;
	const struct prometheus_dns *dns;
	const char *name;
	int type;
};

static int type_of(const char *type)
{
	struct str word = str_of(type);
	return str_eq_nocase(word, STR("A"))      ? ns_t_a
	       : str_eq_nocase(word, STR("AAAA")) ? ns_t_aaaa
	       : str_eq_nocase(word, STR("MX"))   ? ns_t_mx
						  : ns_t_srv;
}

static enum rc use_server(struct cx *cx, struct __res_state *state, const char *server)
{
	const char *colon = strrchr(server, ':');
	struct sockaddr_in address = {.sin_family = AF_INET};
	int64_t port;
	char *host = colon == NULL ? NULL : cx_printf(cx, "%.*s", (int)(colon - server), server);
	if (host == NULL || !str_to_i64(str_of(colon + 1), &port) ||
	    inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return cx_fail(cx, RC_INVALID, "bad name server '%s'", server);
	address.sin_port = htons((uint16_t)port);
	state->nsaddr_list[0] = address;
	state->nscount = 1;
	return RC_OK;
}

/* The name without the root's dot, as an URL has it. */
static struct str host_of(struct cx *cx, const char *name)
{
	size_t n = strlen(name);
	return cx_str(cx, str_make(name, n > 1 && name[n - 1] == '.' ? n - 1 : n));
}

/* The address of a record, and what the record says besides. */
static enum rc read_record(struct lookup *l, const ns_msg *message, const ns_rr *record,
			   struct str *address, struct label *more, size_t *count)
{
	char text[NS_MAXDNAME + 16];
	const unsigned char *data = ns_rr_rdata(*record);
	size_t length = ns_rr_rdlen(*record);
	int port = (int)l->dns->port;
	*count = 0;
	if (l->type == ns_t_a || l->type == ns_t_aaaa) {
		bool v6 = l->type == ns_t_aaaa;
		char ip[INET6_ADDRSTRLEN];
		if (length != (v6 ? 16 : 4) ||
		    inet_ntop(v6 ? AF_INET6 : AF_INET, data, ip, sizeof(ip)) == NULL)
			return cx_fail(&l->cx, RC_PROTOCOL, "an address has a bad length");
		snprintf(text, sizeof(text), v6 ? "[%s]:%d" : "%s:%d", ip, port);
	} else {
		size_t skip = l->type == ns_t_srv ? 6 : 2;
		char target[NS_MAXDNAME];
		if (length <= skip || dn_expand(ns_msg_base(*message), ns_msg_end(*message),
						data + skip, target, sizeof(target)) < 0)
			return cx_fail(&l->cx, RC_PROTOCOL, "a record is cut");
		struct str host = host_of(&l->cx, target);
		char *dotted = cx_printf(&l->cx, STR_FMT ".", STR_ARG(host));
		if (host.p == NULL || dotted == NULL)
			return RC_LIMIT;
		if (l->type == ns_t_srv) {
			port = ns_get16(data + 4);
			char *number = cx_printf(&l->cx, "%d", port);
			if (number == NULL)
				return RC_LIMIT;
			more[(*count)++] =
				(struct label){STR("__meta_dns_srv_record_port"), str_of(number)};
		}
		more[(*count)++] =
			(struct label){l->type == ns_t_srv ? STR("__meta_dns_srv_record_target")
							   : STR("__meta_dns_mx_record_target"),
				       str_of(dotted)};
		snprintf(text, sizeof(text), "%.*s:%d", (int)host.n, host.p, port);
	}
	*address = cx_str(&l->cx, str_of(text));
	return address->p == NULL ? RC_LIMIT : RC_OK;
}

static enum rc take_answer(struct lookup *l, const unsigned char *bytes, int length)
{
	ns_msg message;
	ns_rr record;
	if (ns_initparse(bytes, length, &message) != 0)
		return cx_fail(&l->cx, RC_PROTOCOL, "the name server's answer is malformed");
	int total = ns_msg_count(message, ns_s_an);
	struct prometheus_groups *groups = &l->part->groups;
	if (total > RECORDS_LIMIT)
		return cx_fail(&l->cx, RC_LIMIT, "'%s' has %d records", l->name, total);
	groups->v = cx_array(&l->cx, (size_t)total, sizeof(*groups->v));
	struct str *addresses = cx_array(&l->cx, (size_t)total, sizeof(*addresses));
	if (groups->v == NULL || addresses == NULL)
		return RC_LIMIT;
	for (int i = 0; i < total; i++) {
		struct label pairs[4] = {{STR("__meta_dns_name"), str_of(l->name)}};
		size_t count;
		if (ns_parserr(&message, ns_s_an, i, &record) != 0)
			return cx_fail(&l->cx, RC_PROTOCOL,
				       "the name server's answer is malformed");
		if ((int)ns_rr_type(record) != l->type)
			continue; /* the way there: CNAME */
		TRY(read_record(l, &message, &record, &addresses[groups->n], pairs + 1, &count));
		struct prometheus_group *group = &groups->v[groups->n];
		*group = (struct prometheus_group){
			.source = l->name, .targets = &addresses[groups->n], .target_count = 1};
		TRY(labels_make(&l->cx, pairs, count + 1, &group->labels));
		groups->n++;
	}
	return RC_OK;
}

static enum rc ask(struct lookup *l, struct __res_state *state, const char *name)
{
	unsigned char *answer = arena_alloc(l->cx.arena, ANSWER_BYTES);
	if (answer == NULL)
		return RC_LIMIT;
	int length = res_nsearch(state, name, ns_c_in, l->type, answer, ANSWER_BYTES);
	if (length >= 0)
		return take_answer(l, answer, length > ANSWER_BYTES ? ANSWER_BYTES : length);
	/* a name without such records has no targets; anything else is a failure */
	if (state->res_h_errno == NO_DATA || state->res_h_errno == HOST_NOT_FOUND)
		return RC_OK;
	return cx_fail(&l->cx, RC_NETWORK, "could not resolve '%s': %s", name,
		       hstrerror(state->res_h_errno));
}

static void resolve_one(struct source *source, struct __res_state *state,
			const struct prometheus_dns *dns, struct str name, const char *key)
{
	struct lookup l = {.dns = dns, .type = type_of(dns->type)};
	l.part = collect_part_new(source, key);
	cx_init(&l.cx, &l.part->arena, loop_clock(source->collect->options.loop));
	l.name = str_dup(l.cx.arena, name);
	enum rc rc = l.name == NULL ? RC_LIMIT : ask(&l, state, l.name);
	l.part->failed = rc != RC_OK;
	if (rc != RC_OK)
		snprintf(l.part->problem, sizeof(l.part->problem), "%.299s", l.cx.err.message);
}

enum rc collect_resolve(struct cx *cx, struct source *source)
{
	const struct prometheus_dns *dns = &source->scrape->discovery.dns[source->index];
	const char *server = source->collect->options.name_server;
	struct __res_state state = {0};
	if (res_ninit(&state) != 0)
		return cx_fail(cx, RC_IO, "could not read the resolver's configuration");
	enum rc rc = server == NULL ? RC_OK : use_server(cx, &state, server);
	for (size_t i = 0; rc == RC_OK && i < dns->name_count; i++) {
		char *key = cx_printf(cx, STR_FMT, STR_ARG(dns->names[i]));
		if (key == NULL)
			rc = RC_LIMIT;
		else
			resolve_one(source, &state, dns, dns->names[i], key);
	}
	res_nclose(&state);
	return rc;
}
