#include "rules/superset.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

#define NOTHING "(?:)" /* takes a quantifier, as what it replaces might */

/* A walk over a pattern; what is not known for certain ends it. */
struct walk {
	const char *at;
	char *out;
	const char *why;
};

static bool
give_up(struct walk *w, const char *why)
{
	w->why = why;
	return false;
}

static void
copy(struct walk *w, size_t bytes)
{
	memcpy(w->out, w->at, bytes);
	w->out += bytes;
	w->at += bytes;
}

static void
leave_out(struct walk *w, size_t bytes)
{
	memcpy(w->out, NOTHING, strlen(NOTHING));
	w->out += strlen(NOTHING);
	w->at += bytes;
}

static bool
is_alphanumeric(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* Bytes and classes of them; what \x has in braces reads as other text does. */
static bool
stands_for_bytes(char c)
{
	return !is_alphanumeric(c) || (c >= '0' && c <= '9') || strchr("dDwWsShHvVnrtfeax", c);
}

static bool
escape(struct walk *w)
{
	char c = w->at[1];

	if (c != '\0' && strchr("AzZbB", c))
		leave_out(w, 2);
	else if (c != '\0' && stands_for_bytes(c))
		copy(w, 2);
	else
		return give_up(w, "an escape sequence that may quote or look around");
	return true;
}

/* [:name:] or [:^name:] within a class: its length, 0: something else. */
static size_t
posix_name(const char *at)
{
	size_t len = at[2] == '^' ? 3 : 2;

	while (at[len] >= 'a' && at[len] <= 'z')
		len++;
	return at[1] == ':' && at[len] == ':' && at[len + 1] == ']' ? len + 2 : 0;
}

/* No assertion stands within a class, but where it ends must be beyond doubt. */
static bool class(struct walk *w)
{
	copy(w, w->at[1] == '^' ? 2 : 1);
	if (*w->at == ']')
		return give_up(w, "a class that begins with ']'");
	while (*w->at != ']') {
		bool escapes = *w->at == '\\';
		bool names = *w->at == '[' && w->at[1] != '\0' && strchr(":.=", w->at[1]);
		if (*w->at == '\0' || (escapes && w->at[1] == '\0') ||
			(names && posix_name(w->at) == 0))
			return give_up(w, "a class whose end is not clear");
		if (escapes && w->at[1] != 'b' && !stands_for_bytes(w->at[1]))
			return give_up(w, "an escape sequence that may quote within a class");
		copy(w, names ? posix_name(w->at) : escapes ? 2 : 1);
	}
	copy(w, 1);
	return true;
}

/* ( (?: (?i: (?s) and their like. Others change how text is read, or look around. */
static bool
open_group(struct walk *w)
{
	size_t len = 2;

	if (w->at[1] == '*')
		return give_up(w, "a verb, (*...)");
	if (w->at[1] != '?') {
		copy(w, 1);
		return true;
	}
	while (w->at[len] != '\0' && strchr("ims-", w->at[len]))
		len++;
	if (w->at[len] != ':' && w->at[len] != ')')
		return give_up(w, "a group other than (...), (?:...) and (?ims-ims)");
	copy(w, len + 1);
	return true;
}

static bool
step(struct walk *w)
{
	switch (*w->at) {
	case '^':
	case '$':
		leave_out(w, 1);
		return true;
	case '\\':
		return escape(w);
	case '[':
		return class(w);
	case '(':
		return open_group(w);
	default:
		copy(w, 1);
		return true;
	}
}

char *
pst_rules_superset(const char *pattern, const char **why)
{
	char *superset = malloc(strlen(pattern) * strlen(NOTHING) + 1);
	struct walk w = {.at = pattern, .out = superset, .why = "no memory"};

	while (superset && *w.at != '\0') {
		if (!step(&w)) {
			free(superset);
			superset = NULL;
		}
	}
	if (superset)
		*w.out = '\0';
	else
		*why = w.why;
	return superset;
}
