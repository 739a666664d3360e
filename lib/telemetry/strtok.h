/* A strtok whose place in the text belongs to the thread that calls it.
 *
 * librte_telemetry 22.11 splits the commands of all clients with strtok, each client in a thread
 * of its own: with the C library's strtok one client can be served with the parameters of another,
 * or with memory of a thread that has ended. A program that is linked with lib/telemetry defines
 * strtok, and the dynamic linker gives that one to the library, too. */
#ifndef PST_TELEMETRY_STRTOK_H
#define PST_TELEMETRY_STRTOK_H

/* Whoever looks at it gets the object file with strtok into the program. */
extern const char pst_telemetry_strtok_linked;

#endif
