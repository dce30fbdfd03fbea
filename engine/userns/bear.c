// A new user namespace, mapped by newuidmap(1) and newgidmap(1). What cannot be had is not told here: lacks.go finds out why.
#define _GNU_SOURCE
#include "userns.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define RANGES 339 // and one for the user's own: as many as the kernel takes (user_namespaces(7))

struct range { unsigned long first, size; };

// slurp reads a small file, such as /etc/passwd, into memory that is never given back; 0 where it cannot.
static char *slurp(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = 0;
	if (fd >= 0 && !fstat(fd, &st) && (text = malloc((size_t)st.st_size + 1))) {
		ssize_t n = read(fd, text, (size_t)st.st_size);
		text[n < 0 ? 0 : n] = 0;
	}
	if (fd >= 0) close(fd);
	return text;
}

// fields parts a line at its colons and gives how many fields it has; *line is the next line then, 0 at the end.
static int fields(char **line, char *field[], int max)
{
	char *p = *line, *end = strchr(p, '\n');
	if (end) *end++ = 0;
	*line = end;
	int n = 0;
	while (p && n < max) {
		field[n++] = p;
		if ((p = strchr(p, ':'))) *p++ = 0;
	}
	return p ? max + 1 : n;
}

// user_name is the user's in /etc/passwd, else what the environment says: newuidmap looks for itself whose ranges they are.
static const char *user_name(const char *uid)
{
	char *field[7], *line = slurp("/etc/passwd");
	while (line && *line)
		if (fields(&line, field, 7) == 7 && !strcmp(field[2], uid)) return field[0];
	const char *name = getenv("USER");
	return name ? name : "";
}

static int by_first(const void *a, const void *b)
{
	const struct range *x = a, *y = b;
	return x->first < y->first ? -1 : x->first > y->first;
}

// ranges_of reads the ranges of a user as subuid(5) has them, by name or number, lowest first: the order of podman, to
// which the same files have the same owners then.
static int ranges_of(const char *file, const char *name, const char *uid, struct range *r)
{
	int n = 0;
	char *field[3], *end, *line = slurp(file);
	while (line && *line && n < RANGES) {
		if (fields(&line, field, 3) != 3 || (strcmp(field[0], name) && strcmp(field[0], uid))) continue;
		r[n].first = strtoul(field[1], &end, 10);
		if (end == field[1] || *end) continue;
		r[n].size = strtoul(field[2], &end, 10);
		if (end != field[2] && (*end == 0 || *end == '\r' || *end == ' ') && r[n].size) n++;
	}
	qsort(r, (size_t)n, sizeof *r, by_first);
	return n;
}

char *pcompose_decimal(char *end, unsigned long v)
{
	*--end = 0;
	do *--end = (char)('0' + v % 10); while (v /= 10);
	return end;
}

static char *number(unsigned long v)
{
	char text[24];
	return strdup(pcompose_decimal(text + sizeof text, v));
}

// arguments are those of newuidmap: the process, and triples of first ID inside, first outside, how many. The user's own is 0.
static char **arguments(char *program, unsigned own, const struct range *r, int n)
{
	char **argv = calloc(3 * (size_t)n + 6, sizeof *argv), **p = argv;
	unsigned long inside = 1;
	if (!argv) return 0;
	*p++ = program, *p++ = number((unsigned long)getpid());
	*p++ = "0", *p++ = number(own), *p++ = "1";
	for (; n; n--, r++) {
		*p++ = number(inside), *p++ = number(r->first), *p++ = number(r->size);
		inside += r->size;
	}
	return argv;
}

// start forks a process that runs a program as soon as a byte comes from go; what it says goes to said. It stays outside of
// the namespace, which it maps.
static pid_t start(char **argv, int go[2], int said[2])
{
	pid_t pid = fork();
	if (pid) return pid;
	char c;
	close(go[1]); // so that the end of who started us ends us
	dup2(said[1], 1);
	dup2(said[1], 2);
	if (read(go[0], &c, 1) == 1) {
		execvp(argv[0], argv);
		// In one write: the other program may have something to say, too.
		static char text[64];
		strcat(strcpy(text, argv[0]), errno == ENOENT ? " is not installed\n" : " cannot be executed\n");
		if (write(2, text, strlen(text)) < 0) _exit(126);
	}
	_exit(127);
}

static int put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
	if (fd >= 0) close(fd);
	return n < 0 ? -1 : 0;
}

static int mapped(const char *file)
{
	char c;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, &c, 1);
	if (fd >= 0) close(fd);
	return n > 0;
}

// map_single maps the user's own ID alone, which needs no help. Without setgroups(2), which the kernel wants denied
// (user_namespaces(7)). newuidmap may have mapped the users before newgidmap failed.
static int map_single(void)
{
	char line[40];
	for (int group = 0; group < 2; group++) {
		const char *file = group ? "/proc/self/gid_map" : "/proc/self/uid_map";
		if (mapped(file)) continue;
		char *text = pcompose_decimal(line + sizeof line - 2, group ? self.gid : self.uid);
		strcpy(line + sizeof line - 3, " 1");
		memcpy(text -= 2, "0 ", 2);
		if ((group && put("/proc/self/setgroups", "deny")) || put(file, text)) return -1;
	}
	return 0;
}

// unshared leaves for the new namespace and has both programs map it, side by side.
static int unshared(char **argv[2])
{
	int go[2], said[2], failed = 0;
	pid_t pid[2];
	if (pipe2(go, O_CLOEXEC) || pipe2(said, O_CLOEXEC)) return -1;
	for (int i = 0; i < 2; i++) pid[i] = argv[i] ? start(argv[i], go, said) : -1;
	failed = unshare(CLONE_NEWUSER);
	int error = errno;
	if (!failed && write(go[1], "gg", 2) < 0) error = errno;
	close(go[0]), close(go[1]), close(said[1]);
	ssize_t n, have = 0;
	while (have < (ssize_t)sizeof self.said - 1 && (n = read(said[0], self.said + have, sizeof self.said - 1 - (size_t)have)) > 0) have += n;
	close(said[0]);
	for (int i = 0; i < 2; i++)
		if (pid[i] > 0) waitpid(pid[i], 0, 0);
	errno = error;
	return failed;
}

int pcompose_bear(void)
{
	char num[24];
	const char *uid = pcompose_decimal(num + sizeof num, self.uid), *name = user_name(uid);
	static struct range uids[RANGES], gids[RANGES];
	int u = ranges_of("/etc/subuid", name, uid, uids), g = ranges_of("/etc/subgid", name, uid, gids);
	char **argv[2] = {0};
	if (u && g) {
		argv[0] = arguments("newuidmap", self.uid, uids, u);
		argv[1] = arguments("newgidmap", self.gid, gids, g);
	}
	if (unshared(argv)) return -1;
	return map_single();
}
