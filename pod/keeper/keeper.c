// The keeper of a pod: a C constructor of the pcompose binary, so that this process never enters the Go
// runtime and stays at a few dozen KiB. It parses nothing but the messages of its own supervisor, allocates
// nothing (all tables are static, untouched pages cost nothing) and uses no stdio. client.go is its other half.
#include "keeper.h"
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

struct keeper pcompose_keeper;

static int64_t clock_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t now_ms(void) { return clock_ns(CLOCK_BOOTTIME) / 1000000; }

static void hang_up(void)
{
	if (k.sock >= 0) close(k.sock);
	k.sock = -1;
	k.pending = 0;
}

// later sets when the supervisor starts again: at once the first time and after a steady life, else doubling.
static void later(void)
{
	int64_t t = now_ms(), wait = t - k.born >= k.steady ? 0 : k.backoff;
	k.backoff = wait ? wait * 2 : t - k.born >= k.steady ? 0 : BACKOFF_FIRST;
	if (k.backoff > BACKOFF_LAST) k.backoff = BACKOFF_LAST;
	k.due = t + wait;
	k.supervisor = 0;
}

// child becomes the supervisor. Ignored signals and the mask survive execve(2), so they are undone; every other
// descriptor is close-on-exec.
static void child(int sock)
{
	sigset_t none;
	sigemptyset(&none);
	for (int s = 1; s < 65; s++) signal(s, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, 0);
	if (sock == SUPERVISOR_FD) fcntl(sock, F_SETFD, 0);
	else if (dup2(sock, SUPERVISOR_FD) < 0) _exit(127);
	execve("/proc/self/exe", k.argv, environ);
	say(2, NAME ": cannot execute supervisor", errno);
	_exit(127);
}

static void spawn(void)
{
	int sv[2];
	struct stat st;
	k.born = now_ms();
	// The log is for the last words of a crash; a supervisor that crashes for weeks must not fill the disk.
	if (!fstat(2, &st) && S_ISREG(st.st_mode) && st.st_size > LOG_LIMIT && ftruncate(2, 0)) say(2, NAME ": cannot cut log", errno);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv)) {
		say(2, NAME ": cannot make socket", errno);
		later();
		return;
	}
	pid_t pid = fork();
	if (!pid) child(sv[1]);
	close(sv[1]);
	k.sock = sv[0];
	k.supervisor = pid;
	if (pid > 0) return;
	say(2, NAME ": cannot fork", errno);
	hang_up();
	later();
}

// record writes one exit. seq is 0 while the fields change and set last, so a reader (or this process killed
// half-way) never makes a torn record.
static void record(const siginfo_t *si)
{
	uint64_t seq = k.ring->head + 1;
	struct record *r = &k.ring->rec[(seq - 1) % RECORDS];
	__atomic_store_n(&r->seq, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	r->pid = si->si_pid;
	r->start = start_time(si->si_pid);
	r->at = clock_ns(CLOCK_REALTIME);
	r->status = si->si_code == CLD_EXITED ? (si->si_status & 0xff) << 8 : si->si_status | (si->si_code == CLD_DUMPED ? 0x80 : 0);
	__atomic_store_n(&r->seq, seq, __ATOMIC_RELEASE);
	__atomic_store_n(&k.ring->head, seq, __ATOMIC_RELEASE);
}

// reap records every dead child before it takes it from the process table (WNOWAIT), so /proc still knows its
// start time and a keeper killed in between loses nothing. A lost wake does no harm: the queue is then full, and
// the client looks at the ring after every message it reads.
static void reap(void)
{
	uint64_t before = k.ring->head;
	for (;;) {
		siginfo_t si = {0};
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) || !si.si_pid) break;
		pid_t pid = si.si_pid;
		if (pid != k.supervisor) record(&si);
		if (waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG)) break;
		if (pid != k.supervisor) continue;
		k.pending = 0;
		for (int i = 0; i < KEYS && k.sock >= 0 && receive(1) > 0; i++) k.pending = 0; // its last words count
		hang_up();
		later();
	}
	if (k.ring->head == before || k.sock < 0) return;
	struct message w = {.type = 'W', .number = k.ring->head};
	send(k.sock, &w, HEADER, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void loop(void)
{
	for (;;) {
		int64_t wait = -1;
		if (!k.supervisor && (wait = k.due - now_ms()) <= 0) {
			spawn();
			continue;
		}
		struct pollfd p[2] = {{k.signals, POLLIN, 0}, {k.sock, k.pending ? POLLOUT : POLLIN | POLLRDHUP, 0}};
		if (poll(p, 2, (int)wait) < 0) continue;
		if (p[0].revents) {
			struct signalfd_siginfo s;
			while (read(k.signals, &s, sizeof s) == sizeof s)
				if (s.ssi_signo == SIGTERM && k.supervisor > 0) kill(k.supervisor, SIGTERM);
			reap();
			continue; // the socket may be another one now
		}
		if (!p[1].revents) continue;
		int gone = p[1].revents & (POLLHUP | POLLRDHUP | POLLERR);
		if (k.pending && !gone) push();
		else if (k.pending) k.pending = 0;
		else if (receive(gone) < 0) hang_up();
	}
}

// fail tells Start why there is no keeper.
static int fail(const char *text)
{
	say(READY_FD, text, errno);
	return 1;
}

static void close_from(int first)
{
	if (!syscall(SYS_close_range, first, ~0u, 0)) return;
	struct rlimit lim = {1024, 1024}; // Linux before 5.9
	getrlimit(RLIMIT_NOFILE, &lim);
	for (int fd = first; fd < (int)lim.rlim_cur && fd < 1 << 16; fd++) close(fd);
}

static void set_signals(sigset_t *taken)
{
	// An ignored SIGCHLD, inherited, would let the kernel reap for us; the faults keep their core dump.
	static const int kept[] = {SIGCHLD, SIGTERM, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGCONT};
	for (int s = 1; s < 32; s++) signal(s, SIG_IGN);
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) signal(kept[i], SIG_DFL);
	sigemptyset(taken);
	sigaddset(taken, SIGCHLD);
	sigaddset(taken, SIGTERM);
	sigprocmask(SIG_SETMASK, taken, 0);
}

// mark locks the byte of our process ID in a file, "" for none: who locks it is in the namespaces that the file is about.
// The kernel takes the lock back at the end, and when any descriptor of the file is closed (fcntl_locking(2)): this one
// stays open.
static int mark(const char *file)
{
	struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = getpid(), .l_len = 1};
	if (!*file) return 0;
	int fd = open(file, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -1 : fcntl(fd, F_SETLK, &l);
}

// admitted waits for the word of who started us, at whose end it says no.
static int admitted(void)
{
	char c;
	ssize_t n;
	do n = read(0, &c, 1); while (n < 0 && errno == EINTR);
	int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (none > 0) dup2(none, 0), close(none);
	errno = ECANCELED;
	return n == 1 ? 0 : -1;
}

// keep is the whole life: arguments are NAME, directory, steady milliseconds, 1 if there is a control socket to
// keep, the file to mark, then the supervisor's argv.
static int keep(void)
{
	const char *text;
	sigset_t taken;
	int n = 0;
	ssize_t size = slurp("/proc/self/cmdline", k.cmdline, sizeof k.cmdline);
	fcntl(READY_FD, F_SETFD, FD_CLOEXEC);
	errno = E2BIG;
	if (size <= 0 || size >= (ssize_t)sizeof k.cmdline - 1) return fail("cannot take arguments");
	char *dir = k.cmdline + sizeof NAME, *end = k.cmdline + size, *steady = dir + strlen(dir) + 1;
	char *kept = steady < end ? steady + strlen(steady) + 1 : end;
	if (kept >= end) return fail("cannot take arguments");
	int socket = *kept == '1';
	close_from(READY_FD + 1 + socket);
	if (admitted()) return fail("cannot begin");
	for (char *p = steady; *p >= '0' && *p <= '9'; p++) k.steady = k.steady * 10 + (*p - '0');
	const char *marked = kept + strlen(kept) + 1;
	for (const char *p = marked + strlen(marked) + 1; p < end; p += strlen(p) + 1) {
		if (n == ARGS) return fail("cannot take arguments");
		k.argv[n++] = (char *)p;
	}
	errno = EINVAL;
	if (!n) return fail("cannot take arguments");
	k.sock = -1;
	set_signals(&taken);
	prctl(PR_SET_NAME, NAME);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1)) return fail("cannot become subreaper");
	if ((k.dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0) return fail("cannot open directory");
	if ((k.signals = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) return fail("cannot take signals");
	if (socket) keep_socket(READY_FD + 1);
	if (mark(marked)) return fail("cannot mark the namespaces");
	if ((text = map_ring()) || (text = write_pid())) return fail(text);
	close(READY_FD); // end of file, nothing said: Start returns
	loop();
	return 0;
}

// Runs before main of every pcompose process, so the others pay three system calls. musl gives constructors no
// argv, hence /proc.
__attribute__((constructor, used)) static void keeper_constructor(void)
{
	char head[sizeof NAME] = {0};
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	if (fd < 0) return;
	ssize_t n = read(fd, head, sizeof head);
	close(fd);
	if (n == sizeof head && !memcmp(head, NAME, sizeof head)) _exit(keep());
}
