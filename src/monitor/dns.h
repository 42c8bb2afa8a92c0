/* SPDX-License-Identifier: MIT */
#ifndef LODGE_MONITOR_DNS_H
#define LODGE_MONITOR_DNS_H

/*
 * DNS for one guest. The socket stands in the guest's network namespace (step dns-socket), the process
 * in the host's: names of the guest's networks are read from the links that their guests left
 * (net/net.h), everything else is passed on to servers of the host's choice, each question from a port
 * of its own. Only UDP: with a TCP listener no guest could run a DNS server at 0.0.0.0:53.
 *
 * Nothing is allocated for a question, and nothing is kept of an answer.
 */

#include <stdbool.h>
#include <stdint.h>

struct dns_server;

/* Takes fd over. names: folders by ',', "RUN/networks/NET/names"; a guest of NET is "NAME" and
 * "NAME.NET". upstreams: addresses by ',', or the path of a resolv.conf(5), which is read again when it
 * changes; empty: nothing is passed on. framed: fd isn't the guest's UDP socket but a packet socket to
 * whoever has that; before each message stand the asker's address and port, 6 bytes. NULL: no memory or descriptors, and fd stays the
 * caller's. */
struct dns_server *dns_server_new(int fd, const char *names, const char *upstreams, bool framed);
void dns_server_free(struct dns_server *d);

/* Descriptors to wait on for input; returns how many it wrote. They don't change. */
unsigned dns_server_fds(const struct dns_server *d, int *fds, unsigned max);
/* Reads and answers what is there, without waiting. now: monotonic nanoseconds. */
void dns_server_ready(struct dns_server *d, int fd, int64_t now);

#endif
