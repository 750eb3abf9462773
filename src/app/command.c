/* Finds the verb, reads its options, runs it. */
#include "app/command.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/check.h"

#define INVOCATION_BUDGET_BYTES (256 << 20)
#define DEFAULT_COLUMNS 100
#define UNCUT_COLUMNS 1000000 /* a pipe or a file has no width: nothing is cut for it */

static size_t option_index(const struct command *command, struct str name)
{
	size_t i = 0;
	while (command->options[i].name != NULL && !str_eq(name, str_of(command->options[i].name)))
		i++;
	return i;
}

const char *invocation_option(const struct invocation *invocation, const char *name)
{
	size_t at = option_index(invocation->command, str_of(name));
	CHECK(invocation->command->options[at].name != NULL);
	return invocation->values[at];
}

int invocation_failed(struct invocation *invocation)
{
	fprintf(stderr, "backline %s: %s\n", invocation->command->name,
		cx_message(&invocation->cx));
	if (invocation->cx.err.hint[0] != '\0')
		fprintf(stderr, "hint: %s\n", invocation->cx.err.hint);
	return EXIT_FAILED;
}

const char *invocation_data(struct invocation *invocation)
{
	const char *given = invocation_option(invocation, "data");
	if (given == NULL)
		given = getenv("BACKLINE_DATA");
	if (given != NULL && given[0] != '\0')
		return given;
	if (getuid() == 0)
		return "/var/lib/backline";
	const char *state = getenv("XDG_STATE_HOME");
	if (state != NULL && state[0] == '/')
		return cx_printf(&invocation->cx, "%s/backline", state);
	const char *home = getenv("HOME");
	struct passwd *user = home == NULL ? getpwuid(getuid()) : NULL;
	if (user != NULL)
		home = user->pw_dir;
	return cx_printf(&invocation->cx, "%s/.local/state/backline", home == NULL ? "" : home);
}

int invocation_print(struct str text)
{
	if (fwrite(text.p, 1, text.n, stdout) != text.n || fflush(stdout) != 0) {
		fprintf(stderr, "backline: could not write the output: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_FINE;
}

static void print_usage(FILE *to)
{
	fputs("usage: backline VERB [ARGUMENTS]\n\n"
	      "Runs an operations manual: watches, pages, escalates, records, proves.\n\n",
	      to);
	for (size_t i = 0; i < app_command_count; i++)
		fprintf(to, "  %-16s %s\n", app_commands[i].name, app_commands[i].summary);
	fputs("\n`backline VERB --help` tells more. `backline --version` tells the version.\n", to);
}

static void print_help(const struct command *command)
{
	printf("usage: backline %s%s%s%s\n\n%s.\n", command->name,
	       command->options[0].name == NULL ? "" : " [OPTIONS]",
	       command->arguments[0] == '\0' ? "" : " ", command->arguments, command->summary);
	if (command->details != NULL)
		printf("\n%s\n", command->details);
	if (command->options[0].name != NULL)
		puts("\noptions:");
	for (const struct command_option *o = command->options; o->name != NULL; o++) {
		char left[48];
		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->argument == NULL ? "" : " ",
			 o->argument == NULL ? "" : o->argument);
		printf("  %-24s %s\n", left, o->help);
	}
}

/* The verb may be three words: "oncall override add". *used tells how many were taken. */
static const struct command *find_command(char **words, int count, int *used)
{
	for (int take = count < 3 ? count : 3; take > 0; take--) {
		char name[64];
		snprintf(name, sizeof(name), "%s%s%s%s%s", words[0], take > 1 ? " " : "",
			 take > 1 ? words[1] : "", take > 2 ? " " : "", take > 2 ? words[2] : "");
		for (size_t i = 0; i < app_command_count; i++) {
			if (strcmp(name, app_commands[i].name) != 0)
				continue;
			*used = take;
			return &app_commands[i];
		}
	}
	return NULL;
}

static int unknown_verb(char **words, int count)
{
	const char *names[128];
	CHECK(app_command_count <= 128);
	bool family = false; /* "duty" alone: show its verbs */
	for (size_t i = 0; i < app_command_count; i++) {
		names[i] = app_commands[i].name;
		size_t n = strlen(words[0]);
		if (strncmp(names[i], words[0], n) != 0 || names[i][n] != ' ')
			continue;
		if (!family)
			fprintf(stderr, "backline: '%s' needs a verb of its own:\n", words[0]);
		fprintf(stderr, "  backline %-22s %s\n", names[i], app_commands[i].summary);
		family = true;
	}
	if (family)
		return EXIT_USAGE;
	fprintf(stderr, "backline: unknown verb '%s'\n", words[0]);
	const char *nearest = NULL;
	if (count > 1) {
		char two[64];
		snprintf(two, sizeof(two), "%s %s", words[0], words[1]);
		nearest = str_nearest(str_of(two), names, app_command_count);
	}
	if (nearest == NULL)
		nearest = str_nearest(str_of(words[0]), names, app_command_count);
	if (nearest != NULL)
		fprintf(stderr, "hint: did you mean 'backline %s'?\n", nearest);
	else
		fputs("hint: `backline --help` lists the verbs.\n", stderr);
	return EXIT_USAGE;
}

static int bad_usage(const struct command *command, const char *what, const char *word)
{
	fprintf(stderr, "backline %s: %s '%s'\nhint: `backline %s --help` tells more.\n",
		command->name, what, word, command->name);
	return EXIT_USAGE;
}

/* --name VALUE, --name=VALUE, --flag. Returns how many words it took, 0 when wrong. */
static int take_option(struct invocation *invocation, char **words, int count)
{
	const struct command *command = invocation->command;
	const char *name = words[0] + 2;
	const char *equals = strchr(name, '=');
	struct str key = equals == NULL ? str_of(name) : str_make(name, (size_t)(equals - name));
	size_t at = option_index(command, key);
	const struct command_option *option = &command->options[at];
	if (option->name == NULL) {
		const char *names[COMMAND_OPTIONS_LIMIT];
		for (size_t i = 0; i < at; i++)
			names[i] = command->options[i].name;
		(void)bad_usage(command, "unknown option", words[0]);
		const char *nearest = str_nearest(key, names, at);
		if (nearest != NULL)
			fprintf(stderr, "hint: did you mean '--%s'?\n", nearest);
		return 0;
	}
	if (option->argument == NULL) {
		if (equals != NULL)
			return (void)bad_usage(command, "no argument belongs to", words[0]), 0;
		invocation->values[at] = "";
		return 1;
	}
	if (equals == NULL && count < 2)
		return (void)bad_usage(command, "an argument is missing after", words[0]), 0;
	invocation->values[at] = equals != NULL ? equals + 1 : words[1];
	return equals != NULL ? 1 : 2;
}

static int read_words(struct invocation *invocation, char **words, int count)
{
	const struct command *command = invocation->command;
	bool only_arguments = false;
	for (int i = 0; i < count;) {
		if (!only_arguments && strcmp(words[i], "--") == 0) {
			only_arguments = true;
			i++;
		} else if (!only_arguments && strncmp(words[i], "--", 2) == 0) {
			int taken = take_option(invocation, words + i, count - i);
			if (taken == 0)
				return EXIT_USAGE;
			i += taken;
		} else {
			if (invocation->argument_count == command->most)
				return bad_usage(command, "unexpected argument", words[i]);
			invocation->arguments[invocation->argument_count++] = words[i++];
		}
	}
	if (invocation->argument_count < command->least)
		return bad_usage(command, "too few arguments; it takes", command->arguments);
	return EXIT_FINE;
}

static int terminal_columns(void)
{
	struct winsize size;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return isatty(STDOUT_FILENO) ? DEFAULT_COLUMNS : UNCUT_COLUMNS;
}

static int run_command(const struct command *command, char **words, int count)
{
	for (int i = 0; i < count && strcmp(words[i], "--") != 0; i++) {
		if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0) {
			print_help(command);
			return EXIT_FINE;
		}
	}
	struct invocation invocation = {.command = command};
	arena_init(&invocation.arena, INVOCATION_BUDGET_BYTES);
	cx_init(&invocation.cx, &invocation.arena, clock_real());
	invocation.arguments = heap_alloc(((size_t)count + 1) * sizeof(char *));
	invocation.colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
	invocation.columns = terminal_columns();
	int status = read_words(&invocation, words, count);
	if (status == EXIT_FINE)
		status = command->run(&invocation);
	free(invocation.arguments);
	arena_release(&invocation.arena);
	return status;
}

int command_main(int argc, char **argv)
{
	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
	    strcmp(argv[1], "help") == 0) {
		print_usage(stdout);
		return EXIT_FINE;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
		puts("backline " BACKLINE_VERSION);
		return EXIT_FINE;
	}
	int used = 0;
	const struct command *command = find_command(argv + 1, argc - 1, &used);
	if (command == NULL)
		return unknown_verb(argv + 1, argc - 1);
	return run_command(command, argv + 1 + used, argc - 1 - used);
}
