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

static int word_count(const char *name)
{
	int words = 1;
	for (const char *p = name; *p != '\0'; p++)
		words += *p == ' ';
	return words;
}

/* "duty list" offers "duty" after nothing and "list" after "duty". */
static void put_next_words(struct buf *out, const char *name)
{
	for (const char *word = name; word != NULL;) {
		size_t length = strcspn(word, " ");
		buf_printf(out, "\t'%.*s') COMPREPLY+=($(compgen -W '%.*s' -- \"$word\")) ;;&\n",
			   (int)(word - name), name, (int)length, word);
		word = word[length] == ' ' ? word + length + 1 : NULL;
	}
}

/* Words, then options: those of the longest verb that fits. */
static void bash(struct buf *out)
{
	buf_puts(out, "# bash completion for backline\n_backline() {\n"
		      "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=\n"
		      "\t[ \"$COMP_CWORD\" = 1 ] || before=\"${COMP_WORDS[*]:1:COMP_CWORD-1} \"\n"
		      "\tCOMPREPLY=()\n\tcase $before in\n");
	for (size_t i = 0; i < app_command_count; i++)
		put_next_words(out, app_commands[i].name);
	buf_puts(out, "\tesac\n\tcase $before in\n");
	for (int words = 3; words > 0; words--)
		for (size_t i = 0; i < app_command_count; i++) {
			const struct command *c = &app_commands[i];
			if (word_count(c->name) != words)
				continue;
			buf_printf(out, "\t'%s '*) COMPREPLY+=($(compgen -f -W '", c->name);
			put_options(out, c);
			buf_puts(out, "' -- \"$word\")) ;;\n");
		}
	buf_puts(out, "\tesac\n}\ncomplete -F _backline backline\n");
}

static void zsh(struct buf *out)
{
	buf_puts(out, "#compdef backline\nautoload -U +X bashcompinit && bashcompinit\n");
	bash(out);
}

/* True once the first `words` words of the verb were typed. */
static void put_fish_condition(struct buf *out, const char *name, int words)
{
	if (words == 0)
		buf_puts(out, "__fish_use_subcommand");
	for (int i = 0; i < words; i++) {
		size_t length = strcspn(name, " ");
		buf_printf(out, "%s__fish_seen_subcommand_from %.*s", i == 0 ? "" : "; and ",
			   (int)length, name);
		name += length + 1;
	}
}

static void put_fish(struct buf *out, const struct command *c)
{
	struct str rest = str_of(c->name), word;
	int words = word_count(c->name);
	for (int i = 0; i < words && str_split(&rest, ' ', &word); i++) {
		buf_puts(out, "complete -c backline -n '");
		put_fish_condition(out, c->name, i);
		buf_printf(out, "' -a '" STR_FMT "'", STR_ARG(word));
		if (i + 1 == words)
			buf_printf(out, " -d '%s'", c->summary);
		buf_putc(out, '\n');
	}
	for (const struct command_option *o = c->options; o->name != NULL; o++) {
		buf_puts(out, "complete -c backline -n '");
		put_fish_condition(out, c->name, words);
		buf_printf(out, "' -l %s%s -d '%s'\n", o->name, o->argument == NULL ? "" : " -r",
			   o->help);
	}
}

static void fish(struct buf *out)
{
	buf_puts(out, "# fish completion for backline\n");
	for (size_t i = 0; i < app_command_count; i++)
		put_fish(out, &app_commands[i]);
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
