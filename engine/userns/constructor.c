// Entering a user namespace takes a process of one thread (setns(2)), and Go has several before main: so it is done
// here. Root pays one system call.
#define _GNU_SOURCE
#include "userns.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ORDER "_PCOMPOSE_USERNS"

struct pcompose_userns pcompose_userns = {.record = -1};

static int fail(const char *step)
{
	self.step = step;
	self.error = errno;
	return -1;
}

// become has the process go on as uid 0 of the namespace it is in. The user's groups stay: files that they open stay open.
static int become(void)
{
	if (setresgid(0, 0, 0)) return fail("cannot become group 0 of the user namespace");
	if (setresuid(0, 0, 0)) return fail("cannot become user 0 of the user namespace");
	// A process whose capabilities grew hides its /proc (prctl(2)), and others could not join its namespaces.
	prctl(PR_SET_DUMPABLE, 1);
	self.inside = 1;
	return 0;
}

// hold marks this process as one that others may join: a read lock on the byte of its process ID, which the kernel takes
// back however it ends.
static int hold(int fd)
{
	struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = getpid(), .l_len = 1};
	return fcntl(fd, F_SETLK, &l) ? fail("cannot lock the record of namespaces") : 0;
}

// holder gives a pidfd of a process that is in the namespaces, -1 where there is none.
static int holder(int fd)
{
	for (int tries = 0; tries < 100; tries++) {
		struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
		if (fcntl(fd, F_GETLK, &l) || l.l_type == F_UNLCK || l.l_pid <= 0) return -1;
		int pidfd = (int)syscall(SYS_pidfd_open, l.l_pid, 0);
		if (pidfd < 0) continue; // it has ended: its lock too
		// Still locked: the pidfd is of the process that locks, none that has got its number since.
		struct flock again = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = l.l_pid, .l_len = 1};
		if (!fcntl(fd, F_GETLK, &again) && again.l_type != F_UNLCK && again.l_pid == l.l_pid) return pidfd;
		close(pidfd);
	}
	return -1;
}

// join enters the namespaces of a process that holds the lock, and gives 0 where there is none.
static int join(int fd)
{
	static char dir[PATH_MAX];
	// The working directory is forgotten with the old mounts.
	char *cwd = getcwd(dir, sizeof dir);
	for (int pidfd; (pidfd = holder(fd)) >= 0; close(pidfd)) {
		if (!syscall(SYS_setns, pidfd, CLONE_NEWUSER | CLONE_NEWNS)) {
			if (!become() && !hold(fd) && (!cwd || chdir(cwd))) fail("cannot find the working directory in the user's mount namespace");
		} else if (errno == ESRCH) {
			continue; // it has just ended, and others may hold them
		} else {
			fail("cannot join the user's namespaces");
		}
		close(pidfd);
		return 1;
	}
	return 0;
}

// make enters the user namespace that survives without a holder, else a new one, and a mount namespace of its own below it.
static void make(int fd)
{
	char *said;
	unsigned long inode = pcompose_recall(fd, &said);
	int ns = inode ? pcompose_survivor(inode) : -1;
	if (ns >= 0) {
		int failed = setns(ns, CLONE_NEWUSER);
		close(ns);
		if (failed) {
			fail("cannot enter the user's namespace");
			return;
		}
	} else if (pcompose_bear()) {
		self.refused = errno;
		return;
	} else if (pcompose_remember(fd, said)) {
		fail("cannot write the record of namespaces");
		return;
	} else {
		self.made = 1;
	}
	// Mounts of the host appear here too, and none of ours there: those copied to another owner are slaves
	// (mount_namespaces(7)).
	if (!become() && unshare(CLONE_NEWNS)) fail("cannot make a mount namespace");
	else if (self.inside) hold(fd);
}

// enter joins, or makes what is to be joined while all others wait. Of those that come at once each looks again when
// its turn has come: flock(2) does not change a lock from shared to exclusive in one step.
static void enter(int fd)
{
	if (flock(fd, LOCK_SH)) return;
	if (!join(fd) && !flock(fd, LOCK_EX) && !join(fd)) make(fd);
	flock(fd, LOCK_UN);
}

// open_record opens the record of who is in the user's namespaces, where Dir (record.go) has it. One that another user
// made is none.
static int open_record(void)
{
	static char path[PATH_MAX];
	char num[16];
	struct stat st;
	const char *uid = pcompose_decimal(num + sizeof num, self.uid), *xdg = getenv("XDG_RUNTIME_DIR"), *tmp = getenv("TMPDIR");
	if (!tmp || !*tmp) tmp = "/tmp";
	const char *places[][2] = {{xdg, ""}, {"/run/user/", uid}, {tmp, "/storage-run-"}};
	for (int i = xdg && *xdg ? 0 : 1; i < 3; i++) {
		if (strlen(places[i][0]) > sizeof path - 64) continue;
		strcat(strcpy(path, places[i][0]), places[i][1]);
		if (i == 2) strcat(path, uid);
		int fd = open(strcat(path, "/pcompose/.userns"), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		if (fd >= 0 && !fstat(fd, &st) && st.st_uid == self.uid) return fd;
		if (fd >= 0) close(fd);
		if (!i) return -1;
	}
	return -1;
}

// apart says whether the command line may be one that needs no namespace, or a test's, which has the package linked in. It
// may be wrong: Enter makes up for it.
static int apart(void)
{
	static char line[8192];
	static const char *const words[] = {"config", "convert", "version", "help", "completion", "--help", "-h", "--version",
		"doctor", "try-machine", "alpha", "docker-cli-plugin-metadata", "__complete", "__completeNoDesc", 0};
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
	if (fd >= 0) close(fd);
	char *first = line + strlen(line) + 1;
	if (n <= 0 || first >= line + n || !strcmp(first, "-v")) return 1; // later it is no --version
	for (char *p = first; p < line + n; p += strlen(p) + 1) {
		if (!strncmp(p, "-test.", 6)) return 1;
		for (int i = 0; words[i]; i++)
			if (!strcmp(p, words[i])) return 1;
	}
	return 0;
}

// Before the constructors without a priority: the keeper's never returns, and is in the namespaces already.
__attribute__((constructor(200), used)) static void userns_constructor(void)
{
	self.uid = geteuid();
	if (self.uid == 0) return;
	self.gid = getegid();
	self.ordered = getenv(ORDER) != 0;
	if (!self.ordered && apart()) return;
	int fd = open_record();
	if (fd < 0) {
		self.refused = self.ordered ? errno : 0;
		return;
	}
	enter(fd);
	if (self.inside) self.record = fd;
	else close(fd);
}
