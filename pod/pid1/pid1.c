// The init process: code that lies in a section of its own, so that Program can cut it out and make a file of it. Hence no
// library, no constant data and no variables but those on the stack: the file has nothing but this section.
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <errno.h>

#define HERE __attribute__((section("pcompose_pid1"), used))

// begin is where the kernel enters (execve(2)): the stack has argc, argv and the environment.
#if defined(__x86_64__)
__asm__(".pushsection pcompose_pid1,\"ax\",@progbits\n"
	"pcompose_pid1_begin: xor %ebp, %ebp\n mov %rsp, %rdi\n and $-16, %rsp\n call pcompose_pid1_main\n hlt\n"
	"pcompose_pid1_words: .ascii \"init: cannot run the command\\n\"\n.popsection\n");

HERE static inline long call(long n, long a, long b, long c, long d)
{
	long r;
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = 0;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
	return r;
}
#elif defined(__aarch64__)
__asm__(".pushsection pcompose_pid1,\"ax\",@progbits\n.balign 4\n"
	"pcompose_pid1_begin: mov x29, xzr\n mov x0, sp\n bl pcompose_pid1_main\n brk #0\n"
	"pcompose_pid1_words: .ascii \"init: cannot run the command\\n\"\n.balign 4\n.popsection\n");

HERE static inline long call(long n, long a, long b, long c, long d)
{
	register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d, x4 __asm__("x4") = 0;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}
#endif

#if defined(__x86_64__) || defined(__aarch64__)
extern const char pcompose_pid1_begin[], pcompose_pid1_words[] __attribute__((visibility("hidden")));
extern const char __start_pcompose_pid1[], __stop_pcompose_pid1[];

#define WORDS 29 // of pcompose_pid1_words

// execute tries a command as a shell does: by PATH where it has no slash (execvp(3)). It returns the errno.
HERE static long execute(char **argv, char **env)
{
	const char *name = argv[0], *path = 0;
	long failed = -ENOENT;
	for (const char *p = name; *p; p++)
		if (*p == '/') return call(SYS_execve, (long)name, (long)argv, (long)env, 0);
	for (char **e = env; *e; e++) {
		const char *v = *e;
		if (v[0] == 'P' && v[1] == 'A' && v[2] == 'T' && v[3] == 'H' && v[4] == '=') path = v + 5;
	}
	while (path && *name) {
		char full[4096];
		size_t n = 0;
		for (; *path && *path != ':'; path++)
			if (n < sizeof full - 2) full[n++] = *path;
		full[n++] = '/';
		const char *p = name;
		for (; *p && n < sizeof full - 1; p++) full[n++] = *p;
		full[n] = 0;
		long r = *p ? -ENAMETOOLONG : call(SYS_execve, (long)full, (long)argv, (long)env, 0);
		if (r != -ENOENT && r != -ENOTDIR) failed = r;
		path = *path ? path + 1 : 0;
	}
	return failed;
}

// child becomes the command, in the foreground of the terminal where there is one, and ends with what a shell would.
HERE static void child(char **argv, char **env, uint64_t *mask)
{
	int self = 0;
	call(SYS_setpgid, 0, 0, 0, 0);
	self = (int)call(SYS_getpid, 0, 0, 0, 0);
	call(SYS_ioctl, 0, TIOCSPGRP, (long)&self, 0); // SIGTTOU is blocked yet
	call(SYS_rt_sigprocmask, SIG_SETMASK, (long)mask, 0, sizeof *mask);
	long r = execute(argv, env);
	call(SYS_write, 2, (long)pcompose_pid1_words, WORDS, 0);
	call(SYS_exit_group, r == -ENOENT ? 127 : 126, 0, 0, 0);
}

// pcompose_pid1_main runs the command that follows "--", sends it each signal that comes, reaps everything, and ends when
// the command has: with its exit code, or 128 and the number of its signal.
HERE void pcompose_pid1_main(long *stack)
{
	long argc = stack[0];
	char **argv = (char **)(stack + 1), **env = argv + argc + 1;
	uint64_t all = ~0ull, mask = 0;
	call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)&mask, sizeof all);
	argv++;
	if (*argv && argv[0][0] == '-' && argv[0][1] == '-' && !argv[0][2]) argv++;
	if (!*argv) call(SYS_exit_group, 127, 0, 0, 0);
	long pid = call(SYS_clone, SIGCHLD, 0, 0, 0);
	if (pid == 0) child(argv, env, &mask);
	if (pid < 0) call(SYS_exit_group, 126, 0, 0, 0);
	for (;;) {
		long sig = call(SYS_rt_sigtimedwait, (long)&all, 0, 0, sizeof all);
		if (sig > 0 && sig != SIGCHLD) call(SYS_kill, pid, sig, 0, 0);
		for (;;) {
			int status = 0;
			long ended = call(SYS_wait4, -1, (long)&status, WNOHANG, 0);
			if (ended <= 0) break;
			if (ended == pid) call(SYS_exit_group, WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), 0, 0, 0);
		}
	}
}

const char *pcompose_pid1_code(void) { return __start_pcompose_pid1; }
size_t pcompose_pid1_size(void) { return (size_t)(__stop_pcompose_pid1 - __start_pcompose_pid1); }
size_t pcompose_pid1_entry(void) { return (size_t)(pcompose_pid1_begin - __start_pcompose_pid1); }
#else
const char *pcompose_pid1_code(void) { return 0; }
size_t pcompose_pid1_size(void) { return 0; }
size_t pcompose_pid1_entry(void) { return 0; }
#endif
