/* A pattern that can be looked for in several events at once.
 *
 *   pattern    ^<\d+>.*panic$          \bkernel\b
 *   superset   (?:)<\d+>.*panic(?:)    (?:)kernel(?:)
 *
 * What a pattern matches depends on its event's edges by assertions alone: ^ $ \A \z \Z \b \B. An
 * expression of a matcher that has no look-around only matches more without them. So wherever the
 * event lies in a longer text: if the pattern matches it, the superset matches there, too, and ends
 * at the same byte. It may match more: other bytes of the event, or across events. */
#ifndef PST_SUPERSET_H
#define PST_SUPERSET_H

/* The superset of a pattern that Hyperscan takes without HS_FLAG_PREFILTER; the caller frees it.
 * NULL with *why: it holds a construct that is not understood here (or there is no memory). */
char *pst_rules_superset(const char *pattern, const char **why);

#endif
