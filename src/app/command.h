/* The command line: one table of verbs holds names, arguments, options and help; the parser,
 * --help, the shell completions and the manual page derive from it. */
#ifndef APP_COMMAND_H
#define APP_COMMAND_H

#include "base/cx.h"

enum { EXIT_FINE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define COMMAND_OPTIONS_LIMIT 16
#define COMMAND_ARGUMENTS_LIMIT 4096

struct command_option {
	const char *name;     /* "manual", given as --manual */
	const char *argument; /* "FILE"; NULL: a flag */
	const char *help;
};

struct invocation;

struct command {
	const char *name;                                     /* "serve", "duty list" */
	const char *arguments;                                /* "MANUAL", "" */
	const char *summary;                                  /* one line */
	const char *details;                                  /* paragraphs for --help; NULL none */
	int least, most;                                      /* positional arguments */
	struct command_option options[COMMAND_OPTIONS_LIMIT]; /* ends with name NULL */
	int (*run)(struct invocation *invocation);
};

extern const struct command app_commands[];
extern const size_t app_command_count;

struct invocation {
	struct cx cx;
	struct arena arena;
	const struct command *command;
	const char *values[COMMAND_OPTIONS_LIMIT]; /* as in command->options; "" for a flag given */
	char **arguments;
	int argument_count;
	bool colour; /* stdout is a terminal and NO_COLOR is unset */
	int columns; /* width to print in */
};

/* The option's argument, "" for a flag given, NULL when not given. CHECKs that the command has it.
 */
const char *invocation_option(const struct invocation *invocation, const char *name);
/* Writes "backline VERB: message" and the hint to stderr; returns EXIT_FAILED. */
int invocation_failed(struct invocation *invocation);
/* The data directory: --data, else $BACKLINE_DATA, else the user's or the system's place for state.
 */
const char *invocation_data(struct invocation *invocation);
/* Writes all of it to stdout. EXIT_FAILED when that fails. */
int invocation_print(struct str text);

int command_main(int argc, char **argv);

/* The verbs, one file a family. */
int app_serve(struct invocation *invocation);
int app_check(struct invocation *invocation);
int app_rules_print(struct invocation *invocation);
int app_rules_check(struct invocation *invocation);
int app_rules_test(struct invocation *invocation);
int app_import_prometheus(struct invocation *invocation);
int app_completion(struct invocation *invocation);
int app_manpage(struct invocation *invocation);
int app_promises(struct invocation *invocation);
int app_alerts(struct invocation *invocation);
int app_alerts_history(struct invocation *invocation);
int app_pages(struct invocation *invocation);
int app_acknowledge(struct invocation *invocation);
int app_escalate(struct invocation *invocation);
int app_hand_over(struct invocation *invocation);
int app_rehearse(struct invocation *invocation);
int app_resolve(struct invocation *invocation);
int app_channels(struct invocation *invocation);
int app_channels_test(struct invocation *invocation);
int app_silence_add(struct invocation *invocation);
int app_silence_list(struct invocation *invocation);
int app_silence_show(struct invocation *invocation);
int app_silence_edit(struct invocation *invocation);
int app_silence_expire(struct invocation *invocation);
int app_duty_list(struct invocation *invocation);
int app_duty_done(struct invocation *invocation);
int app_duty_add(struct invocation *invocation);
int app_heartbeat_list(struct invocation *invocation);
int app_heartbeat_show(struct invocation *invocation);
int app_heartbeat_address(struct invocation *invocation);
int app_heartbeat_ping(struct invocation *invocation);
int app_watchers(struct invocation *invocation);
int app_oncall_now(struct invocation *invocation);
int app_oncall_show(struct invocation *invocation);
int app_oncall_override_add(struct invocation *invocation);
int app_oncall_override_remove(struct invocation *invocation);
int app_oncall_override_list(struct invocation *invocation);
int app_oncall_ical_add(struct invocation *invocation);
int app_oncall_ical_list(struct invocation *invocation);
int app_oncall_ical_revoke(struct invocation *invocation);
int app_journal_list(struct invocation *invocation);
int app_journal_verify(struct invocation *invocation);
int app_tsdb_inspect(struct invocation *invocation);
int app_tsdb_verify(struct invocation *invocation);
int app_tsdb_repair(struct invocation *invocation);
int app_deploy(struct invocation *invocation);
int app_query(struct invocation *invocation);
int app_reload(struct invocation *invocation);
int app_status(struct invocation *invocation);

#endif
