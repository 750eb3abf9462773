/* Pages: listed, acknowledged and resolved by the API, and by the link that a message carries. A
 * look at the link changes nothing: mail scanners look. */
#include "base/json_read.h"
#include "web/inside.h"

static void put_delivery(struct json *json, const struct notify_delivery_view *d)
{
	json_object(json);
	json_put_int(json, "step", (int64_t)d->step);
	json_put_text(json, "channel", d->kind);
	json_put_text(json, "target", d->target);
	json_put_text(json, "person", d->person);
	json_put_text(json, "state", d->state);
	json_put_text(json, "detail", d->detail);
	json_put_bool(json, "resolved", d->resolved);
	json_put_bool(json, "possible_repeat", d->possible_repeat);
	json_put_bool(json, "recorded", d->recorded);
	if (d->ended.ms > 0)
		json_put_time(json, "at", d->ended);
	json_end_object(json);
}

static void put_page(void *context, const struct notify_page_view *page)
{
	struct json *json = context;
	json_object(json);
	json_put_text(json, "id", page->id);
	json_put_text(json, "state", page->state);
	json_put_text(json, "priority", priority_name(page->priority));
	json_put_text(json, "name", page->name);
	json_put_text(json, "component", page->component);
	json_put_str(json, "summary", page->summary);
	json_put_bool(json, "firing", page->firing);
	json_put_int(json, "alerts", (int64_t)page->firing_count);
	if (page->muted.n > 0)
		json_put_str(json, "muted", page->muted);
	json_put_bool(json, "drill", page->drill);
	web_put_instant(json, "opened", page->opened);
	web_put_instant(json, "acknowledged", page->acknowledged);
	json_put_text(json, "acknowledged_by", page->acknowledged_by);
	web_put_instant(json, "resolved", page->resolved);
	json_put_text(json, "resolved_by", page->resolved_by);
	json_put_text(json, "next", page->next);
	web_put_instant(json, "next_at", page->next == NULL ? (struct wall){0} : page->next_at);
	json_key(json, "deliveries");
	json_array(json);
	for (size_t i = 0; i < page->delivery_count; i++)
		put_delivery(json, &page->deliveries[i]);
	json_end_array(json);
	json_end_object(json);
}

void web_pages(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct buf out = BUF_INIT;
	struct json json;
	web_begin_list(&json, &out, "pages");
	notify_each_page(web->options.notify, put_page, &json);
	web_end_list(request, &json, &out);
}

/* ---- channels ---- */

static void put_channel(struct json *json, const struct web *web, enum priority priority,
			const struct channel *channel)
{
	const struct plan *plan = web->options.plan(web->options.context);
	json_object(json);
	json_put_text(json, "priority", priority_name(priority));
	json_put_text(json, "channel", channel_kind_name(channel->kind));
	json_put_text(json, "target", channel->target);
	json_put_text(json, "missing", channel_lacks(plan, channel));
	web_put_instant(json, "delivered",
			notify_last_delivered(web->options.notify, channel->kind, channel->target));
	json_end_object(json);
}

void web_channels(struct http_request *request, void *context)
{
	const struct web *web = context;
	const struct plan *plan = web->options.plan(web->options.context);
	struct buf out = BUF_INIT;
	struct json json;
	web_begin_list(&json, &out, "channels");
	for (int p = PRIORITIES - 1; p >= 0; p--)
		for (size_t i = 0; i < plan->channels[p].channel_count; i++)
			put_channel(&json, web, (enum priority)p, &plan->channels[p].channels[i]);
	web_end_list(request, &json, &out);
}

void web_drill(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	if (notify_drill(cx, web->options.notify, web_actor(request), web_recorded, request) !=
	    RC_OK)
		http_reply_error(request, cx);
}

/* ---- people answer ---- */

typedef enum rc answer_call(struct cx *cx, struct notify *notify, struct str page, struct str actor,
			    void (*done)(void *context, enum rc rc), void *context);

static void take_answer(struct http_request *request, const struct web *web, answer_call *call)
{
	struct str id = http_request_part(request, "id");
	if (call(http_request_cx(request), web->options.notify, id, web_actor(request),
		 web_recorded, request) != RC_OK)
		http_reply_error(request, http_request_cx(request));
}

void web_acknowledge(struct http_request *request, void *context)
{
	take_answer(request, context, notify_acknowledge);
}

void web_escalate(struct http_request *request, void *context)
{
	take_answer(request, context, notify_escalate_page);
}

void web_hand_over(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	struct str body = http_request_body(request);
	cJSON *object = cJSON_ParseWithLength(body.p, body.n);
	const char *person = json_text_in(object, "person");
	enum rc rc;
	if (person == NULL)
		rc = cx_fail(cx, RC_INVALID, "the body names no person: {\"person\": \"anna\"}");
	else
		rc = notify_hand_over(cx, web->options.notify, http_request_part(request, "id"),
				      str_of(person), web_actor(request), web_recorded, request);
	cJSON_Delete(object);
	if (rc != RC_OK)
		http_reply_error(request, cx);
}

void web_resolve(struct http_request *request, void *context)
{
	take_answer(request, context, notify_resolve);
}

/* ---- the link ---- */

void web_begin_narrow(struct buf *out)
{
	buf_puts(out, "<!doctype html><html lang=en><meta charset=utf-8>"
		      "<meta name=viewport content='width=device-width, initial-scale=1'>"
		      "<title>Backline</title><link rel=icon href=/assets/favicon.svg>"
		      "<link rel=stylesheet href=/assets/tokens.css>"
		      "<link rel=stylesheet href=/assets/backline.css>"
		      "<main class=narrow><section class=card>");
}

void web_end_narrow(struct http_request *request, int status, struct buf *out)
{
	buf_puts(out, "</section></main></html>");
	http_reply_header(request, "Content-Security-Policy",
			  "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; "
			  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
	/* not no-referrer: browsers then send `Origin: null` with the form, which is refused */
	http_reply_header(request, "Referrer-Policy", "same-origin");
	http_reply_header(request, "Cache-Control", "no-store");
	http_reply_buf(request, status, "text/html; charset=utf-8", out);
}

struct wanted {
	struct buf *out;
	const char *id, *person;
	const char *name, *component; /* of the page that is found */
	bool found;
};

static void put_facts(void *context, const struct notify_page_view *page)
{
	struct wanted *wanted = context;
	char at[CLOCK_TEXT_BYTES];
	if (strcmp(page->id, wanted->id) != 0)
		return;
	wanted->found = true;
	wanted->name = page->name;
	wanted->component = page->component;
	clock_format(page->opened, at);
	buf_printf(wanted->out, "<p class=meta>Page %s, %s, since %s</p><h1>", page->id,
		   priority_name(page->priority), at);
	buf_put_html(wanted->out, str_of(page->name));
	if (page->component[0] != '\0')
		buf_puts(wanted->out, " at "), buf_put_html(wanted->out, str_of(page->component));
	buf_puts(wanted->out, "</h1><p>");
	buf_put_html(wanted->out, page->summary);
	buf_puts(wanted->out, "</p>");
	if (strcmp(page->state, "open") == 0) {
		buf_puts(wanted->out, "<form method=post><button class=primary>I have it: "
				      "acknowledge</button></form><p class=meta>As ");
		buf_put_html(wanted->out, str_of(wanted->person));
		buf_puts(wanted->out, ".");
		if (page->next != NULL) {
			clock_format(page->next_at, at);
			buf_puts(wanted->out, " Otherwise ");
			buf_put_html(wanted->out, str_of(page->next));
			buf_printf(wanted->out, " is reached at %s.", at);
		}
		buf_puts(wanted->out, "</p>");
		return;
	}
	const char *by =
		strcmp(page->state, "resolved") == 0 ? page->resolved_by : page->acknowledged_by;
	buf_printf(wanted->out, "<p><b>It is %s</b>%s", page->state, by == NULL ? "" : " by ");
	if (by != NULL)
		buf_put_html(wanted->out, str_of(by));
	buf_puts(wanted->out, ".</p>");
}

static void refuse(struct http_request *request, const char *why)
{
	struct buf out = BUF_INIT;
	web_begin_narrow(&out);
	buf_puts(&out, "<h1>This link does nothing</h1><p>");
	buf_put_html(&out, str_of(why));
	buf_puts(&out, ". Sign in, or use the newest message of the page.</p>");
	web_end_narrow(request, 404, &out);
}

static void show(struct http_request *request, const struct web *web, const char *page,
		 const char *person)
{
	struct buf out = BUF_INIT;
	struct wanted wanted = {.out = &out, .id = page, .person = person};
	web_begin_narrow(&out);
	notify_each_page(web->options.notify, put_facts, &wanted);
	if (wanted.found)
		web_put_runbook(&out, web->options.plan(web->options.context), str_of(wanted.name),
				str_of(wanted.component));
	if (!wanted.found)
		buf_puts(&out, "<h1>This page is over</h1><p>The journal has it.</p>");
	web_end_narrow(request, wanted.found ? 200 : 404, &out);
}

void web_link_page(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	char page[NOTIFY_NAME_BYTES], person[NOTIFY_NAME_BYTES];
	if (notify_read_link(cx, web->options.notify, http_request_part(request, "token"), page,
			     person) != RC_OK)
		refuse(request, cx_message(cx));
	else
		show(request, web, page, person);
}

/* Redirected to the look, so that a reload of the browser posts nothing again. */
static void link_answered(void *context, enum rc rc)
{
	struct http_request *request = context;
	if (rc != RC_OK) {
		web_recorded(context, rc);
		return;
	}
	http_reply_header(request, "Location",
			  str_dup(http_request_cx(request)->arena, http_request_path(request)));
	http_reply_header(request, "Referrer-Policy", "same-origin");
	http_reply(request, 303, "text/plain", STR("acknowledged\n"));
}

void web_link_acknowledge(struct http_request *request, void *context)
{
	const struct web *web = context;
	struct cx *cx = http_request_cx(request);
	char page[NOTIFY_NAME_BYTES], person[NOTIFY_NAME_BYTES];
	enum rc rc = notify_read_link(cx, web->options.notify, http_request_part(request, "token"),
				      page, person);
	if (rc != RC_OK) {
		refuse(request, cx_message(cx));
		return;
	}
	char *actor = cx_printf(cx, "%s, by link", person);
	rc = notify_acknowledge(cx, web->options.notify, str_of(page), str_of(actor), link_answered,
				request);
	if (rc == RC_CONFLICT || rc == RC_NOT_FOUND)
		show(request, web, page, person);
	else if (rc != RC_OK)
		http_reply_error(request, cx);
}
