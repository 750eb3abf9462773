/* The table of verbs. */
#include "app/command.h"
#include "route/route.h"

#define OPTION_DATA                                                                                \
	{                                                                                          \
		"data", "DIR",                                                                     \
			"the data directory; default: $BACKLINE_DATA, else the place for state"    \
	}
#define OPTION_JSON                                                                                \
	{                                                                                          \
		"json", NULL, "write JSON"                                                         \
	}

const struct command app_commands[] = {
	{
		.name = "serve",
		.arguments = "",
		.summary = "Run the manual: watch, page, escalate, record, serve the pages",
		.details = "Without --manual the embedded manual watches this host and Backline "
			   "itself; with\n"
			   "--prometheus-config and no manual, only what that file names is "
			   "watched.\n"
			   "SIGHUP, `backline reload`, or saving one of the files reloads them: "
			   "all is checked\n"
			   "first, and a bad file changes nothing. SIGTERM and SIGINT end it.",
		.options = {{"manual", "FILE", "the operations manual (Markdown)"},
			    {"site", "FILE", "where things are (YAML)"},
			    {"prometheus-config", "FILE",
			     "run a prometheus.yml as it is; without --manual nothing else"},
			    OPTION_DATA,
			    {"listen", "ADDR:PORT",
			     "default 127.0.0.1:7080; port 0 takes a free one"},
			    {"auth", "off", "no sign-in; for tests, on a loopback address only"},
			    {"log-format", "logfmt|json", "default logfmt"},
			    {"log-level", "LEVEL", "debug, info, warn or error; default info"},
#ifdef BACKLINE_TEST_HOOKS
			    {"clock-socket", "PATH",
			     "test builds: a socket that turns a virtual clock"},
#endif
			    {0}},
		.run = app_serve,
	},
	{
		.name = "check",
		.arguments = "MANUAL",
		.summary = "List every promise of a manual, how it is proved, what is missing",
		.details = "Exit 0 when it can run, 1 on an error. Every error is told at once, "
			   "with place, line\n"
			   "and hint. Without --site unbound names are listed as missing; with it "
			   "they are errors.\n"
			   "So is each minute of the next 90 days in which a schedule has nobody "
			   "on call.",
		.least = 1,
		.most = 1,
		.options = {{"site", "FILE", "where things are (YAML)"}, OPTION_JSON, {0}},
		.run = app_check,
	},
	{
		.name = "rules print",
		.arguments = "MANUAL",
		.summary = "Print the thresholds as a Prometheus rule file",
		.least = 1,
		.most = 1,
		.options = {{"site", "FILE", "where things are (YAML)"}, {0}},
		.run = app_rules_print,
	},
	{
		.name = "rules check",
		.arguments = "FILE...",
		.summary = "Check Prometheus rule files",
		.details =
			"Accepts and refuses what promtool 2.42 does, by its exit codes: 0 good, "
			"1 an error,\n3 a lint with --lint-fatal. Every error is told with file, "
			"line, column and hint.",
		.least = 1,
		.most = COMMAND_ARGUMENTS_LIMIT,
		.options = {{"lint", "WHAT", "all, duplicate-rules (default) or none"},
			    {"lint-fatal", NULL, "a lint is an error"},
			    {0}},
		.run = app_rules_check,
	},
	{
		.name = "rules test",
		.arguments = "FILE...",
		.summary = "Run unit tests of Prometheus rule files",
		.details =
			"Takes promtool's test files: series as `1+2x5 _ stale`, expected alerts "
			"and samples.\nExit 0 when all pass, 1 else; a difference is shown line "
			"by line.",
		.least = 1,
		.most = COMMAND_ARGUMENTS_LIMIT,
		.options = {{0}},
		.run = app_rules_test,
	},
	{
		.name = "import prometheus",
		.arguments = "FILE",
		.summary = "Print a prometheus.yml as a site file; tell what has no equal",
		.details =
			"The site file goes to stdout, what it cannot say to stderr. Secrets are "
			"not written:\n"
			"references to their files, or to variables, stand in their place.\n"
			"Exit 0 when all of it has an equal, 3 when some has none, 1 when the "
			"file is bad.",
		.least = 1,
		.most = 1,
		.options = {{0}},
		.run = app_import_prometheus,
	},
	{
		.name = "status",
		.arguments = "",
		.summary = "Tell how the running Backline fares",
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_status,
	},
	{
		.name = "promises",
		.arguments = "",
		.summary = "List the promises with their state: kept, broken, unproven",
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_promises,
	},
	{
		.name = "query",
		.arguments = "EXPR",
		.summary = "Evaluate PromQL now",
		.least = 1,
		.most = 1,
		.options = {{"time", "TIME", "RFC 3339 or Unix seconds; default now"},
			    OPTION_DATA,
			    OPTION_JSON,
			    {0}},
		.run = app_query,
	},
	{
		.name = "alerts",
		.arguments = "",
		.summary = "List what fires or is about to",
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_alerts,
	},
	{
		.name = "alerts history",
		.arguments = "",
		.summary = "List what fired: when, for how long, who had it",
		.options = {{"since", "TIME", "24h back, or RFC 3339; default 7d"},
			    {"component", "ID", "only of this one"},
			    {"name", "NAME", "only alerts of this name, or of this rule"},
			    {"limit", "N", "at most so many, newest first; default 100"},
			    {"before", "N", "those before this `seq`"},
			    OPTION_DATA,
			    OPTION_JSON,
			    {0}},
		.run = app_alerts_history,
	},
	{
		.name = "pages",
		.arguments = "",
		.summary = "List the pages: who was called for what, who has it, who is next",
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_pages,
	},
	{
		.name = "ack",
		.arguments = "PAGE",
		.summary = "Acknowledge a page: you have it, nobody else is called",
		.details = "The page goes on until it is resolved; a critical one that is not "
			   "calls again after\n30 minutes.",
		.least = 1,
		.most = 1,
		.options = {OPTION_DATA, {0}},
		.run = app_acknowledge,
	},
	{
		.name = "escalate",
		.arguments = "PAGE",
		.summary = "Call the next of a page's escalation now",
		.details = "An acknowledgement is void: who is called next has to acknowledge.",
		.least = 1,
		.most = 1,
		.options = {OPTION_DATA, {0}},
		.run = app_escalate,
	},
	{
		.name = "handover",
		.arguments = "PAGE PERSON",
		.summary = "Hand a page over to somebody else",
		.details = "PERSON, an id of the site file, is reached as it says there and has to "
			   "acknowledge:\nelse it escalates, its minutes counted anew.",
		.least = 2,
		.most = 2,
		.options = {OPTION_DATA, {0}},
		.run = app_hand_over,
	},
	{
		.name = "resolve",
		.arguments = "PAGE",
		.summary = "Resolve a page by hand; it opens again while its alert fires on",
		.details =
			"A page is resolved by itself when its alert is. One that is resolved by "
			"hand while the\nalert goes on firing opens again after 30 minutes, or at "
			"once when it gets worse.",
		.least = 1,
		.most = 1,
		.options = {OPTION_DATA, {0}},
		.run = app_resolve,
	},
	{
		.name = "rehearse",
		.arguments = "",
		.summary = "Try the escalation of an alert: who would be reached by what, and when",
		.details =
			"The live engine runs under a clock of its own, which jumps to what is due "
			"next; nothing\nis sent and nothing is kept. --at takes 'sun 02:30' (the "
			"next one), '2026-10-25 02:30'\n(by the clocks of the site) or RFC 3339.\n"
			"It goes by the two files alone: overrides, silences and windows are not "
			"in it.",
		.options = {{"manual", "FILE", "the operations manual (Markdown)"},
			    {"site", "FILE", "where things are (YAML)"},
			    {"alert", "NAME", "a threshold of the manual, or any name"},
			    {"at", "TIME", "when it begins to fire; default now"},
			    {"component", "ID", "where; default the threshold's"},
			    {"priority", "PRIORITY",
			     "critical, high, medium or low; default the threshold's worst"},
			    {"ack-after", "TIME", "somebody acknowledges after so long"},
			    {"resolve-after", "TIME", "it fires no more after so long"},
			    {"for", "TIME", "how much is shown; default 1h"},
			    OPTION_JSON,
			    {0}},
		.run = app_rehearse,
	},
	{
		.name = "channels",
		.arguments = "",
		.summary = "List the channels by priority, and when each last delivered",
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_channels,
	},
	{
		.name = "channels test",
		.arguments = "",
		.summary = "Send a drill by every channel: it proves them for 30 days",
		.details = "Each channel of each priority is told that this is a drill and that "
			   "nothing "
			   "is wrong.\nNothing escalates.",
		.options = {OPTION_DATA, {0}},
		.run = app_channels_test,
	},
	{
		.name = "silence add",
		.arguments = "MATCHER...",
		.summary = "Mute the alerts that all matchers match, until an end",
		.details = "A matcher is NAME=VALUE, NAME!=VALUE, NAME=~REGEX or NAME!~REGEX. "
			   "Prints the id.\n"
			   "What is muted opens no page; it stays in the lists, with the silence "
			   "that mutes it.",
		.least = 1,
		.most = ROUTE_MATCHERS_LIMIT,
		.options = {{"for", "DURATION", "how long, from its start on: 2h"},
			    {"until", "TIME", "its end, RFC 3339, in place of --for"},
			    {"start", "TIME", "RFC 3339; default now"},
			    {"reason", "TEXT", "why"},
			    {"author", "WHO", "default: $USER"},
			    OPTION_DATA,
			    OPTION_JSON,
			    {0}},
		.run = app_silence_add,
	},
	{
		.name = "silence list",
		.arguments = "",
		.summary = "List the silences: active, to come, and ended within five days",
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_silence_list,
	},
	{
		.name = "silence show",
		.arguments = "ID",
		.summary = "Print one silence as JSON",
		.least = 1,
		.most = 1,
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_silence_show,
	},
	{
		.name = "silence edit",
		.arguments = "ID",
		.summary = "Give a silence another end, or another reason",
		.details = "One that is over is made anew: the id printed is the new one's.",
		.least = 1,
		.most = 1,
		.options = {{"for", "DURATION", "from now on, or from its start to come"},
			    {"until", "TIME", "its end, RFC 3339, in place of --for"},
			    {"reason", "TEXT", "why"},
			    OPTION_DATA,
			    OPTION_JSON,
			    {0}},
		.run = app_silence_edit,
	},
	{
		.name = "silence expire",
		.arguments = "ID",
		.summary = "End a silence now",
		.least = 1,
		.most = 1,
		.options = {OPTION_DATA, {0}},
		.run = app_silence_expire,
	},
	{
		.name = "duty list",
		.arguments = "",
		.summary = "List what is due, soonest first",
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_duty_list,
	},
	{
		.name = "duty done",
		.arguments = "ID",
		.summary = "Say that a duty is done, with a note as evidence",
		.least = 1,
		.most = 1,
		.options = {{"note", "TEXT",
			     "what was found or changed, or where the result stands"},
			    OPTION_DATA,
			    {0}},
		.run = app_duty_done,
	},
	{
		.name = "duty add",
		.arguments = "TITLE",
		.summary = "Add something to be done once",
		.least = 1,
		.most = 1,
		.options = {{"due", "TIME", "RFC 3339, such as 2027-01-31T12:00:00Z"},
			    {"owner", "WHO", "whose it is"},
			    OPTION_DATA,
			    {0}},
		.run = app_duty_add,
	},
	{
		.name = "heartbeat list",
		.arguments = "",
		.summary = "List the jobs that must report, and when each did last",
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_heartbeat_list,
	},
	{
		.name = "heartbeat show",
		.arguments = "NAME",
		.summary = "Tell all of a heartbeat, its secret address too",
		.least = 1,
		.most = 1,
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_heartbeat_show,
	},
	{
		.name = "heartbeat address",
		.arguments = "NAME",
		.summary = "Print the secret address that the job calls when it is done",
		.details = "GET or POST it; behind it may stand /start, /fail or the job's exit "
			   "status, such as /$?.\nWhat is posted is kept as the last message.",
		.least = 1,
		.most = 1,
		.options = {{"new", NULL, "make a new one; the old one is revoked"},
			    OPTION_DATA,
			    OPTION_JSON,
			    {0}},
		.run = app_heartbeat_address,
	},
	{
		.name = "heartbeat ping",
		.arguments = "NAME",
		.summary = "Report for a heartbeat by hand",
		.least = 1,
		.most = 1,
		.options = {{"act", "ACT", "start, fail or an exit status; default: all is well"},
			    {"message", "TEXT", "kept as the last message"},
			    OPTION_DATA,
			    OPTION_JSON,
			    {0}},
		.run = app_heartbeat_ping,
	},
	{
		.name = "watchers",
		.arguments = "",
		.summary = "List the addresses that are told that Backline is well",
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_watchers,
	},
	{
		.name = "oncall now",
		.arguments = "",
		.summary = "Tell who is on call, until when, why, and who is next",
		.options = {{"at", "TIME", "RFC 3339 or Unix seconds; default now"},
			    OPTION_DATA,
			    OPTION_JSON,
			    {0}},
		.run = app_oncall_now,
	},
	{
		.name = "oncall show",
		.arguments = "SCHEDULE",
		.summary = "List the shifts of a schedule, and when nobody is on call",
		.least = 1,
		.most = 1,
		.options = {{"at", "TIME", "from then on, RFC 3339; default now"},
			    {"until", "TIME", "RFC 3339; default four weeks later"},
			    OPTION_DATA,
			    OPTION_JSON,
			    {0}},
		.run = app_oncall_show,
	},
	{
		.name = "oncall override add",
		.arguments = "SCHEDULE PERSON",
		.summary = "Put a person on call for a time, above all layers",
		.details = "Times are RFC 3339, or such as '2026-12-24 18:00' by the schedule's "
			   "own clock.\nOf two overrides at once the later one added counts.",
		.least = 2,
		.most = 2,
		.options = {{"from", "TIME", "default now"},
			    {"until", "TIME", "when it ends"},
			    {"why", "TEXT", "the reason; it stands on the journal"},
			    OPTION_DATA,
			    OPTION_JSON,
			    {0}},
		.run = app_oncall_override_add,
	},
	{
		.name = "oncall override remove",
		.arguments = "ID",
		.summary = "Remove an override: the layers decide again",
		.least = 1,
		.most = 1,
		.options = {OPTION_DATA, {0}},
		.run = app_oncall_override_remove,
	},
	{
		.name = "oncall override list",
		.arguments = "",
		.summary = "List the overrides that are in force or to come",
		.options = {{"all", NULL, "those of the last 90 days too"},
			    OPTION_DATA,
			    OPTION_JSON,
			    {0}},
		.run = app_oncall_override_list,
	},
	{
		.name = "oncall ical add",
		.arguments = "",
		.summary = "Make a secret calendar address of a schedule or a person",
		.details = "Whoever has the address reads the calendar; it is shown this once.",
		.options = {{"schedule", "ID", "all shifts of a schedule"},
			    {"person", "ID", "a person's shifts on all schedules"},
			    OPTION_DATA,
			    OPTION_JSON,
			    {0}},
		.run = app_oncall_ical_add,
	},
	{
		.name = "oncall ical list",
		.arguments = "",
		.summary = "List the calendar addresses that were made, without the secrets",
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_oncall_ical_list,
	},
	{
		.name = "oncall ical revoke",
		.arguments = "ID",
		.summary = "Revoke a calendar address: it opens nothing any more",
		.least = 1,
		.most = 1,
		.options = {OPTION_DATA, {0}},
		.run = app_oncall_ical_revoke,
	},
	{
		.name = "journal list",
		.arguments = "",
		.summary = "List what happened, newest first",
		.options = {{"limit", "N", "at most so many entries; default 50"},
			    {"kind", "KIND",
			     "only these: page, delivery, alert, promise, duty, deploy, ..."},
			    OPTION_DATA,
			    OPTION_JSON,
			    {0}},
		.run = app_journal_list,
	},
	{
		.name = "journal verify",
		.arguments = "",
		.summary = "Verify the journal's chain of hashes, entry by entry",
		.details = "Reads the ledger in the data directory; Backline may run or not.\n"
			   "Exit 0 when whole, 1 when an entry was changed, cut or lost.",
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_journal_verify,
	},
	{
		.name = "tsdb inspect",
		.arguments = "[DIRECTORY]",
		.summary = "List the files of the metrics store: blocks, log, series",
		.details = "DIRECTORY is a store or a snapshot; without it, metrics in the data "
			   "directory. Backline may run.\n"
			   "Exit 1 when a file is damaged.",
		.most = 1,
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_tsdb_inspect,
	},
	{
		.name = "tsdb verify",
		.arguments = "[DIRECTORY]",
		.summary = "Verify every checksum of the metrics store",
		.details =
			"Reads all chunks. Backline may run: then the end of the log may be under "
			"way.\nExit 0 when all is whole, 1 when something is damaged.",
		.most = 1,
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_tsdb_verify,
	},
	{
		.name = "tsdb repair",
		.arguments = "[DIRECTORY]",
		.summary = "Write damaged blocks anew from what can be read of them",
		.details = "Backline must not run. What is damaged is kept beside as "
			   "damaged-block-N; nothing is deleted.\n"
			   "Exit 1 when something could not be repaired.",
		.most = 1,
		.options = {OPTION_DATA, OPTION_JSON, {0}},
		.run = app_tsdb_repair,
	},
	{
		.name = "deploy",
		.arguments = "WHAT",
		.summary = "Mark a deploy on the journal",
		.least = 1,
		.most = 1,
		.options = {{"component", "ID", "what was deployed to"}, OPTION_DATA, {0}},
		.run = app_deploy,
	},
	{
		.name = "reload",
		.arguments = "",
		.summary = "Read the manual and the site file again",
		.options = {{"accept", NULL, "also when an enforced promise would vanish"},
			    OPTION_DATA,
			    {0}},
		.run = app_reload,
	},
	{
		.name = "completion",
		.arguments = "SHELL",
		.summary = "Print completions for bash, zsh or fish",
		.least = 1,
		.most = 1,
		.options = {{0}},
		.run = app_completion,
	},
	{
		.name = "manpage",
		.arguments = "",
		.summary = "Print the manual page backline(1)",
		.options = {{0}},
		.run = app_manpage,
	},
};
const size_t app_command_count = sizeof(app_commands) / sizeof(app_commands[0]);
