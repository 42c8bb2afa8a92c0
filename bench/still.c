/* SPDX-License-Identifier: MIT */

/* A guest's process that does nothing and leaves at once when told to (SIGTERM, SIGINT, SIGPWR). */

#include <signal.h>
#include <unistd.h>

static void leave(int signal_number)
{
	(void)signal_number;
	_exit(0);
}

int main(void)
{
	struct sigaction a = { .sa_handler = leave };

	sigaction(SIGTERM, &a, NULL);
	sigaction(SIGINT, &a, NULL);
	sigaction(SIGPWR, &a, NULL);
	for (;;)
		pause();
}
