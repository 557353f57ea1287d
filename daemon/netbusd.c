/* SPDX-License-Identifier: Apache-2.0
 *
 * netbusd: arguments, configuration, signals, and the loop. What it does is daemon/monitor.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/auto.h"
#include "base/fd.h"
#include "base/log.h"
#include "daemon/monitor.h"

enum { EXIT_USAGE = 2 };

static const char usage[] = "usage: netbusd [--config FILE] [--root DIRECTORY]\n"
			    "       netbusd --adopt-state [--keep-grants] [--config FILE] [--root DIRECTORY]\n"
			    "       netbusd --join TOKEN ADDRESS:PORT [--replace] [--config FILE] [--root DIRECTORY]\n"
			    "       netbusd --help | --version\n";
static const char summary[] =
    "Exports devices of this host, and attaches devices of other hosts, over mutually authenticated TLS.\n"
    "\n"
    "  --config FILE       instead of /etc/netbus/netbusd.yaml\n"
    "  --root DIRECTORY    everything below DIRECTORY: DIRECTORY/etc/netbus, DIRECTORY/run/netbus, ...\n"
    "  --adopt-state       goes on with a state database that is refused since it was restored from a backup: no "
    "epoch\n"
    "                      is given twice, the grants in it are dropped, a record says so; starts nothing\n"
    "  --join TOKEN ADDRESS:PORT\n"
    "                      gets this host's first certificate from the enroller there, for a token that netbus-admin "
    "pki "
    "token\n"
    "                      made; TOKEN - is read from standard input, which others cannot see; starts nothing\n"
    "  --replace           with it: although this host has a key and certificate\n"
    "  --keep-grants       with --adopt-state: keeps the grants, also those that were revoked after the backup\n"
    "\n"
    "It runs in the foreground and logs to standard error. SIGHUP reloads, SIGTERM stops. See netbusd(8).\n";

struct arguments {
	char config[PATH_MAX], root[PATH_MAX];
	bool adopt, keep_grants, replace;
	char token[512]; /* "": not asked to join */
	const char *address;
};

static struct monitor monitor = {.lock_fd = -1};

/* ---- arguments ---- */

static int
refuse_arguments(const char *what, const char *argument)
{
	fprintf(stderr, "netbusd: %s%s\n%s", what, argument, usage);
	return EXIT_USAGE;
}

static int
absolute(const char *path, char *out, size_t room)
{
	AUTO_FREE char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);

	if (path[0] != '/' && here == NULL)
		return -errno;
	return path_print(out, room, "%s%s%s", here ? here : "", here ? "/" : "", path);
}

static int
take_paths(const char *config, const char *root, struct arguments *arguments)
{
	if (absolute(root ? root : "/", arguments->root, sizeof arguments->root) < 0)
		return refuse_arguments("no usable directory: ", root);
	if (config ? absolute(config, arguments->config, sizeof arguments->config)
		   : config_default_path(arguments->root, arguments->config, sizeof arguments->config))
		return refuse_arguments("no usable path: ", config ? config : root);
	return -1;
}

/* From the command line it is wiped at once: there everybody can read it. */
static int
take_token(char *argument, struct arguments *arguments)
{
	size_t length = strlen(argument);

	if (strcmp(argument, "-") == 0) {
		if (fgets(arguments->token, sizeof arguments->token, stdin) == NULL)
			return -EINVAL;
		arguments->token[strcspn(arguments->token, "\r\n")] = '\0';
	} else if (length < sizeof arguments->token) {
		memcpy(arguments->token, argument, length);
		explicit_bzero(argument, length);
	}
	return arguments->token[0] ? 0 : -EINVAL;
}

/* -1 to go on, or an exit code. */
static int
take_arguments(int argc, char **argv, struct arguments *arguments)
{
	const char *config = NULL, *root = NULL;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			printf("%s\n%s", usage, summary);
			return 0;
		}
		if (strcmp(argv[i], "--version") == 0) {
			printf("netbusd %s\n", NETBUS_VERSION);
			return 0;
		}
		if (strcmp(argv[i], "--adopt-state") == 0 || strcmp(argv[i], "--keep-grants") == 0) {
			*(argv[i][2] == 'a' ? &arguments->adopt : &arguments->keep_grants) = true;
			continue;
		}
		if (strcmp(argv[i], "--replace") == 0) {
			arguments->replace = true;
			continue;
		}
		if (strcmp(argv[i], "--join") == 0) {
			if (i + 2 >= argc || take_token(argv[i + 1], arguments) < 0)
				return refuse_arguments("a token and an address are needed after ", argv[i]);
			arguments->address = argv[i + 2];
			i += 2;
			continue;
		}
		if (strcmp(argv[i], "--config") != 0 && strcmp(argv[i], "--root") != 0)
			return refuse_arguments("unknown argument ", argv[i]);
		if (i + 1 == argc || argv[i + 1][0] == '\0')
			return refuse_arguments("a value is missing after ", argv[i]);
		*(strcmp(argv[i], "--config") == 0 ? &config : &root) = argv[i + 1];
		i++;
	}
	if (arguments->replace && arguments->address == NULL)
		return refuse_arguments("only with --join: ", "--replace");
	if (arguments->adopt && arguments->address)
		return refuse_arguments("not together with --join: ", "--adopt-state");
	if (arguments->keep_grants && !arguments->adopt)
		return refuse_arguments("only with --adopt-state: ", "--keep-grants");
	return take_paths(config, root, arguments);
}

/* ---- signals ---- */

static void
on_signal(struct watch *watch, uint32_t events)
{
	int number;

	(void)events;
	while ((number = loop_signal_read(watch)) != 0) {
		if (number == SIGHUP)
			monitor_reload(&monitor);
		else
			monitor_stop(&monitor);
	}
}

/* ---- start and end ---- */

/* A connection is a process and, here, some descriptors. */
static void
raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

#define FIRST_NICENESS (-10)

/* What takes a device back must not wait for those from whom it is taken: a thousand sessions that end at once, or move data at full speed, leave the monitor and
 * the broker little of a processor. Without the right to do so all are alike. */
static void
go_first(void)
{
	int niceness = getpriority(PRIO_PROCESS, 0);

	monitor.niceness = niceness > 0 ? niceness : 0;
	if (niceness > monitor.niceness + FIRST_NICENESS)
		setpriority(PRIO_PROCESS, 0, monitor.niceness + FIRST_NICENESS);
}

static int
load_config(void)
{
	struct faults faults;

	faults_init(&faults);
	monitor.config = config_load(monitor.config_path, monitor.root, &faults);
	config_complain(&faults);
	faults_clear(&faults);
	return monitor.config ? 0 : -EINVAL;
}

/* A host that joins may have no netbusd.yaml yet; one that is there says who it is and where its files are. */
static int
load_config_or_none(void)
{
	static const char nothing[] = "version: 1\nhost: unknown\n";
	struct faults faults;

	if (access(monitor.config_path, F_OK) == 0 || errno != ENOENT)
		return load_config();
	faults_init(&faults);
	monitor.config = config_parse("netbusd.yaml", nothing, strlen(nothing), monitor.root, &faults);
	faults_clear(&faults);
	if (monitor.config == NULL)
		return -EINVAL;
	monitor.config->host.text[0] = '\0'; /* the token's */
	return 0;
}

static int
join(struct arguments *arguments, struct error *error)
{
	char path[PATH_MAX];
	int code = path_print(path, sizeof path, "%s/host.key", monitor.config->pki_directory);

	if (code < 0)
		return error_errno(error, code, "%s", monitor.config->pki_directory);
	if (!arguments->replace && access(path, F_OK) == 0)
		return error_set(error, -EEXIST,
		    "%s is there already: this host has an identity; --replace gives it another one", path);
	code = monitor_join(&monitor, arguments->token, arguments->address, error);
	explicit_bzero(arguments->token, sizeof arguments->token);
	return code;
}

static int
start(struct error *error)
{
	static const int signals[] = {SIGHUP, SIGTERM, SIGINT, 0};
	int code;

	monitor.loop = loop_new(error);
	if (monitor.loop == NULL)
		return error->code;
	code = loop_signals(monitor.loop, &monitor.on_signal, signals, on_signal, error);
	if (code < 0)
		return code;
	/* Inherited by every process of ours; nothing that any of them executes gains rights. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(error, -errno, "cannot give up gaining privileges");
	raise_descriptor_limit();
	go_first();
	return monitor_start(&monitor, error);
}

static void
clean_up(void)
{
	timer_stop(&monitor.stop_late);
	renew_clear(&monitor);
	timer_stop(&monitor.xenwatch.again);
	fences_clear(&monitor);
	zygote_clear(&monitor);
	children_clear(&monitor);
	holds_clear(&monitor);
	if (monitor.has_admin_socket)
		unlink(monitor.config->admin_socket);
	config_free(TAKE(monitor.config));
	memory_forget_unconfigured(&monitor);
	if (monitor.loop && monitor.on_signal.loop) {
		int fd = monitor.on_signal.fd;

		watch_stop(&monitor.on_signal);
		close(fd);
	}
	if (monitor.loop)
		loop_free(monitor.loop);
	if (monitor.lock_fd >= 0)
		close(monitor.lock_fd);
}

int
main(int argc, char **argv)
{
	static struct arguments arguments;
	struct error error = {0};
	int code = take_arguments(argc, argv, &arguments);

	if (code >= 0)
		return code;
	log_open("netbusd", LOG_INFO_);
	monitor.config_path = arguments.config;
	monitor.root = arguments.root;
	code = arguments.address ? load_config_or_none() : load_config();
	if (code < 0) {
		log_error("not started: the configuration has faults");
		return 1;
	}
	code = arguments.address ? join(&arguments, &error)
	       : arguments.adopt ? monitor_adopt(&monitor, arguments.keep_grants, &error)
				 : start(&error);
	if (code < 0)
		log_error("%s: %s",
		    arguments.address ? "not joined"
		    : arguments.adopt ? "not adopted"
				      : "not started",
		    error.text);
	else if (!arguments.adopt && !arguments.address)
		code = loop_run(monitor.loop);
	clean_up();
	return code == 0 ? 0 : 1;
}
