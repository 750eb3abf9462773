// RE2 behind C.
extern "C" {
#include "base/cx.h"
}
#include "base/regex.h"

#include <memory>
#include <string>

#include <re2/re2.h>

struct regex {
	RE2 re;
	regex(const re2::StringPiece &pattern, const RE2::Options &options) : re(pattern, options) {}
};

static const int64_t memory_limit_bytes = 2 << 20;

static re2::StringPiece piece(struct str s)
{
	return re2::StringPiece(s.p, s.n);
}

/* \C, any byte, is RE2's alone: Go refuses it. */
static bool has_any_byte(struct str pattern)
{
	bool quoted = false; /* between \Q and \E */
	for (size_t i = 0; i + 1 < pattern.n; i++) {
		if (pattern.p[i] != '\\')
			continue;
		char c = pattern.p[i + 1];
		if (!quoted && c == 'C')
			return true;
		quoted = quoted ? c != 'E' : c == 'Q';
		i += !quoted || c == 'Q';
	}
	return false;
}

extern "C" enum rc regex_compile(struct cx *cx, struct str pattern, bool anchored, struct regex **out)
{
	RE2::Options options;
	options.set_log_errors(false);
	options.set_max_mem(memory_limit_bytes);
	/* as Prometheus 2 compiles matchers and relabelling: a dot is no line break */
	std::string text = anchored ? "^(?:" + std::string(pattern.p, pattern.n) + ")$"
				    : std::string(pattern.p, pattern.n);
	std::unique_ptr<struct regex> made(new struct regex(text, options));
	*out = nullptr;
	if (made->re.ok() && has_any_byte(pattern))
		return cx_fail_at(cx, RC_INVALID, 0, __FILE__, __LINE__,
				  "bad regular expression '%.*s': invalid escape sequence",
				  (int)pattern.n, pattern.p);
	if (!made->re.ok())
		return cx_fail_at(cx, RC_INVALID, 0, __FILE__, __LINE__,
				  "bad regular expression '%.*s': %s", (int)pattern.n, pattern.p,
				  made->re.error().c_str());
	*out = made.release();
	return RC_OK;
}

/* Where RE2 and Go do not use the same words. */
static const char *go_words(RE2::ErrorCode code)
{
	switch (code) {
	case RE2::ErrorBadEscape:
		return "invalid escape sequence";
	case RE2::ErrorBadCharClass:
		return "invalid character class";
	case RE2::ErrorBadCharRange:
		return "invalid character class range";
	case RE2::ErrorMissingBracket:
		return "missing closing ]";
	case RE2::ErrorMissingParen:
		return "missing closing )";
	case RE2::ErrorUnexpectedParen:
		return "unexpected )";
	case RE2::ErrorTrailingBackslash:
		return "trailing backslash at end of expression";
	case RE2::ErrorRepeatArgument:
		return "missing argument to repetition operator";
	case RE2::ErrorRepeatSize:
		return "invalid repeat count";
	case RE2::ErrorRepeatOp:
		return "invalid nested repetition operator";
	case RE2::ErrorBadPerlOp:
		return "invalid or unsupported Perl syntax";
	case RE2::ErrorBadUTF8:
		return "invalid UTF-8";
	case RE2::ErrorBadNamedCapture:
		return "invalid named capture";
	default:
		return "expression too large";
	}
}

extern "C" void regex_explain(struct str pattern, bool anchored, struct buf *out)
{
	RE2::Options options;
	options.set_log_errors(false);
	options.set_max_mem(memory_limit_bytes);
	std::string text(pattern.p, pattern.n);
	RE2 whole("^(?:" + text + ")$", options), plain(text, options);
	const RE2 &re = !anchored || whole.ok() ? plain : whole;
	if (re.ok() && has_any_byte(pattern))
		buf_puts(out, "error parsing regexp: invalid escape sequence: `\\C`");
	if (!re.ok())
		buf_printf(out, "error parsing regexp: %s: `%s`", go_words(re.error_code()),
			   re.error_arg().c_str());
}

extern "C" bool regex_match(const struct regex *regex, struct str text)
{
	return RE2::PartialMatch(piece(text), regex->re);
}

extern "C" bool regex_groups(const struct regex *regex, struct str text, struct str *groups, int count)
{
	re2::StringPiece found[17];
	int wanted = count > 17 ? 17 : count;
	if (!regex->re.Match(piece(text), 0, text.n, RE2::UNANCHORED, found, wanted))
		return false;
	for (int i = 0; i < count; i++)
		groups[i] = i < wanted ? str_make(found[i].data(), found[i].size())
				       : str_make(nullptr, 0);
	return true;
}

static int group_number(const struct regex *regex, const std::string &name)
{
	if (!name.empty() && name.find_first_not_of("0123456789") == std::string::npos)
		return name.size() > 3 ? -1 : std::stoi(name);
	const auto &names = regex->re.NamedCapturingGroups();
	auto found = names.find(name);
	return found == names.end() ? -1 : found->second;
}

/* How many bytes of a name stand at `at`: letters and digits of any script, as in Go. */
static size_t name_length(struct str text, size_t at)
{
	static const RE2 name("[\\pL\\p{Nd}_]*");
	re2::StringPiece rest(text.p + at, text.n - at), found;
	return name.Match(rest, 0, rest.size(), RE2::ANCHOR_START, &found, 1) ? found.size() : 0;
}

/* The name after '$' at `at`, "" when there is none; *end is behind it. */
static std::string reference(struct str text, size_t at, size_t *end)
{
	size_t start = at;
	if (start < text.n && text.p[start] == '{') {
		++start;
		size_t close = start + name_length(text, start);
		if (close == start || close >= text.n || text.p[close] != '}')
			return "";
		*end = close + 1;
		return std::string(text.p + start, close - start);
	}
	size_t stop = start + name_length(text, start);
	*end = stop;
	return std::string(text.p + start, stop - start);
}

static void expand(const struct regex *regex, const re2::StringPiece *found, int groups, struct str replacement,
		   struct buf *out)
{
	for (size_t i = 0; i < replacement.n;) {
		char c = replacement.p[i++];
		if (c != '$') {
			buf_putc(out, c);
			continue;
		}
		if (i < replacement.n && replacement.p[i] == '$') {
			buf_putc(out, '$');
			i++;
			continue;
		}
		size_t end = i;
		std::string name = reference(replacement, i, &end);
		if (name.empty()) {
			buf_putc(out, '$'); /* malformed: Go writes it raw */
			continue;
		}
		int group = group_number(regex, name);
		if (group >= 0 && group < groups)
			buf_put(out, found[group].data(), found[group].size());
		i = end;
	}
}

extern "C" bool regex_expand(const struct regex *regex, struct str text, struct str replacement,
			     struct buf *out)
{
	int groups = regex->re.NumberOfCapturingGroups() + 1;
	std::unique_ptr<re2::StringPiece[]> found(new re2::StringPiece[(size_t)groups]);
	if (!regex->re.Match(piece(text), 0, text.n, RE2::UNANCHORED, found.get(), groups))
		return false;
	expand(regex, found.get(), groups, replacement, out);
	return true;
}

static size_t rune_length(struct str text, size_t at)
{
	size_t n = at < text.n ? 1 : 0;
	while (n > 0 && at + n < text.n && (text.p[at + n] & 0xc0) == 0x80)
		n++;
	return n;
}

extern "C" void regex_replace_all(const struct regex *regex, struct str text, struct str replacement,
				  struct buf *out)
{
	int groups = regex->re.NumberOfCapturingGroups() + 1;
	std::unique_ptr<re2::StringPiece[]> found(new re2::StringPiece[(size_t)groups]);
	size_t copied = 0, from = 0;
	while (from <= text.n &&
	       regex->re.Match(piece(text), from, text.n, RE2::UNANCHORED, found.get(), groups)) {
		size_t start = (size_t)(found[0].data() - text.p), end = start + found[0].size();
		buf_put(out, text.p + copied, start - copied);
		/* no empty match right behind another */
		if (end > copied || start == 0)
			expand(regex, found.get(), groups, replacement, out);
		copied = end;
		size_t width = rune_length(text, from);
		from = from + width > end ? from + width : from + 1 > end ? from + 1 : end;
	}
	buf_put(out, text.p + copied, text.n - copied);
}

extern "C" void regex_free(struct regex *regex)
{
	delete regex;
}
