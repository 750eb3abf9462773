/* What derives from the table of verbs: shell completions and the manual page. */
#include <stdio.h>

#include "app/command.h"

static void put_verbs(struct buf *out, const char *separator)
{
	for (size_t i = 0; i < app_command_count; i++)
		buf_printf(out, "%s%s", i == 0 ? "" : separator, app_commands[i].name);
}

static void put_options(struct buf *out, const struct command *command)
{
	for (const struct command_option *o = command->options; o->name != NULL; o++)
		buf_printf(out, "--%s ", o->name);
	buf_puts(out, "--help");
}

static void bash(struct buf *out)
{
	buf_puts(out, "# bash completion for backline\n_backline() {\n"
		      "\tlocal word=${COMP_WORDS[COMP_CWORD]} verb=\"${COMP_WORDS[1]} "
		      "${COMP_WORDS[2]}\"\n"
		      "\tcase $verb in\n");
	for (size_t i = 0; i < app_command_count; i++) {
		const struct command *c = &app_commands[i];
		buf_printf(out, "\t'%s'%s*) COMPREPLY=($(compgen -f -W '", c->name,
			   strchr(c->name, ' ') == NULL ? "' '" : "");
		put_options(out, c);
		buf_puts(out, "' -- \"$word\")); return ;;\n");
	}
	buf_puts(out, "\tesac\n\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\tCOMPREPLY=($(compgen -W '");
	for (size_t i = 0; i < app_command_count; i++)
		buf_printf(out, "%.*s ", (int)strcspn(app_commands[i].name, " "),
			   app_commands[i].name);
	buf_puts(out, "' -- \"$word\"))\n\telif [ \"$COMP_CWORD\" = 2 ]; then\n\t\tcase "
		      "${COMP_WORDS[1]} in\n");
	for (size_t i = 0; i < app_command_count; i++) {
		const char *space = strchr(app_commands[i].name, ' ');
		if (space != NULL)
			buf_printf(out,
				   "\t\t%.*s) COMPREPLY+=($(compgen -W '%s' -- \"$word\")) ;;&\n",
				   (int)(space - app_commands[i].name), app_commands[i].name,
				   space + 1);
	}
	buf_puts(out, "\t\tesac\n\tfi\n}\ncomplete -F _backline backline\n");
}

static void zsh(struct buf *out)
{
	buf_puts(out, "#compdef backline\nautoload -U +X bashcompinit && bashcompinit\n");
	bash(out);
}

static void fish(struct buf *out)
{
	buf_puts(out, "# fish completion for backline\n");
	for (size_t i = 0; i < app_command_count; i++) {
		const struct command *c = &app_commands[i];
		const char *space = strchr(c->name, ' ');
		int first = space == NULL ? (int)strlen(c->name) : (int)(space - c->name);
		if (space == NULL)
			buf_printf(
				out,
				"complete -c backline -n __fish_use_subcommand -a '%s' -d '%s'\n",
				c->name, c->summary);
		else
			buf_printf(out,
				   "complete -c backline -n __fish_use_subcommand -a '%.*s'\n"
				   "complete -c backline -n '__fish_seen_subcommand_from %.*s' -a "
				   "'%s' -d '%s'\n",
				   first, c->name, first, c->name, space + 1, c->summary);
		for (const struct command_option *o = c->options; o->name != NULL; o++)
			buf_printf(out,
				   "complete -c backline -n '__fish_seen_subcommand_from %.*s' -l "
				   "%s%s -d '%s'\n",
				   first, c->name, o->name, o->argument == NULL ? "" : " -r",
				   o->help);
	}
}

int app_completion(struct invocation *invocation)
{
	static const struct {
		const char *shell;
		void (*put)(struct buf *out);
	} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(invocation->arguments[0], shells[i].shell) != 0)
			continue;
		struct buf out = BUF_INIT;
		shells[i].put(&out);
		int status = invocation_print(buf_str(&out));
		buf_release(&out);
		return status;
	}
	(void)cx_fail(&invocation->cx, RC_INVALID, "no completions for '%s'",
		      invocation->arguments[0]);
	cx_hint(&invocation->cx, "There are bash, zsh and fish.");
	return invocation_failed(invocation);
}

/* roff needs '-' and a leading '.' escaped */
static void put_roff(struct buf *out, const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '-' || *c == '\\')
			buf_putc(out, '\\');
		if ((*c == '.' || *c == '\'') && (c == text || c[-1] == '\n'))
			buf_puts(out, "\\&");
		buf_putc(out, *c);
	}
}

int app_manpage(struct invocation *invocation)
{
	(void)invocation;
	struct buf out = BUF_INIT;
	buf_puts(&out, ".TH BACKLINE 1 \"\" \"backline " BACKLINE_VERSION
		       "\"\n.SH NAME\nbackline \\- run an "
		       "operations manual\n.SH SYNOPSIS\n.B backline\n");
	put_verbs(&out, " | ");
	buf_puts(&out, "\n.SH VERBS\n");
	for (size_t i = 0; i < app_command_count; i++) {
		const struct command *c = &app_commands[i];
		buf_printf(&out, ".SS %s %s\n", c->name, c->arguments);
		put_roff(&out, c->summary);
		buf_puts(&out, ".\n");
		if (c->details != NULL) {
			buf_puts(&out, ".PP\n");
			put_roff(&out, c->details);
			buf_putc(&out, '\n');
		}
		for (const struct command_option *o = c->options; o->name != NULL; o++) {
			if (strncmp(o->help, "test builds", 11) == 0)
				continue; /* no user's program has it */
			buf_printf(&out, ".TP\n\\-\\-%s %s\n", o->name,
				   o->argument == NULL ? "" : o->argument);
			put_roff(&out, o->help);
			buf_putc(&out, '\n');
		}
	}
	buf_puts(&out,
		 ".SH EXIT STATUS\n0 fine; 1 failed, or what was asked is not so; 2 wrong usage.\n"
		 ".SH ENVIRONMENT\n.TP\nBACKLINE_DATA\nthe data directory\n.TP\nNO_COLOR\nno "
		 "colours\n");
	int status = invocation_print(buf_str(&out));
	buf_release(&out);
	return status;
}
