/* nano: a guest of 2 KB without an operating system, for tests of live migration. QEMU starts it as a
   multiboot kernel in well under a second.

   Command line, each also changeable while it runs (keyboard: letter, digits, Enter):
     c=PERCENT  share of its vCPU that it keeps busy, 0..95
     d=MIB      window of memory above 4 MiB that it fills and rewrites
     r=PAGES    pages of the window rewritten in each tick of 10 ms (1 = 0.4 MB/s)

   On COM1 it prints "hb N" once a second, N = 1, 2, 3, .. (each number exactly once over all hosts the
   guest has lived on, or the guest was harmed), and "set c=40" for each change. */
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

enum {
  COM1 = 0x3f8, COM1_STATUS = 0x3fd,
  KEYBOARD = 0x60, KEYBOARD_STATUS = 0x64,
  PIT_DATA = 0x40, PIT_CONTROL = 0x43, PIT_TICK = 11932 /* timer cycles in 10 ms */,
  IDLE_TICKS = 5 /* the timer counts to 65,536 at most */,
  PIC1 = 0x20, PIC2 = 0xa0,
  PAGE_WORDS = 1024
};

static inline void outb(u16 port, u8 v) { __asm__ volatile("outb %0,%1" ::"a"(v), "Nd"(port)); }
static inline u8 inb(u16 port) { u8 v; __asm__ volatile("inb %1,%0" : "=a"(v) : "Nd"(port)); return v; }

/* --- what it is told to do --- */

static volatile u32 *const window = (volatile u32 *)0x400000;
static u32 window_max_mib, window_pages, next_page; /* where rewriting goes on */
static u32 rate, busy;

static void set(char key, u32 v) {
  if (key == 'c') busy = v > 95 ? 95 : v;
  if (key == 'r') rate = v;
  if (key == 'd') {
    window_pages = (v > window_max_mib ? window_max_mib : v) * 256;
    next_page = 0;
    for (u32 i = 0; i < window_pages; i++)
      for (u32 j = 0; j < PAGE_WORDS; j += 64) window[i * PAGE_WORDS + j] = i * 2654435761u + j;
  }
}

static u32 option(const char *s, char key) { /* of "c=10 d=32", 0 when absent */
  for (; *s; s++)
    if (*s == key && s[1] == '=') {
      u32 v = 0;
      for (s += 2; *s >= '0' && *s <= '9'; s++) v = v * 10 + *s - '0';
      return v;
    }
  return 0;
}

/* --- serial port --- */

static void print_char(char c) {
  for (int i = 0; i < 100000 && !(inb(COM1_STATUS) & 0x20); i++);
  outb(COM1, c);
}
static void print(const char *s) { while (*s) print_char(*s++); }
static void print_number(u32 v) {
  char digits[12];
  int i = 11;
  digits[i] = 0;
  do digits[--i] = '0' + v % 10; while (v /= 10);
  print(digits + i);
}

/* --- keyboard: polled in each tick, so it needs no interrupt --- */

static void read_keyboard(void) {
  static char key;
  static u32 number;
  while (inb(KEYBOARD_STATUS) & 1) {
    u8 code = inb(KEYBOARD); /* set 1; releases have bit 7 and match nothing */
    if (code == 0x2e || code == 0x20 || code == 0x13) {
      key = code == 0x2e ? 'c' : code == 0x20 ? 'd' : 'r';
      number = 0;
    } else if (code >= 0x02 && code <= 0x0b) {
      number = number * 10 + (code - 1) % 10; /* keys 1..9 and 0 */
    } else if (code == 0x1c && key) {
      set(key, number);
      print("set "); print_char(key); print_char('='); print_number(number); print_char('\n');
      key = 0;
    }
  }
}

/* --- machine: flat segments, one interrupt handler, a timer of 100 Hz, of 20 Hz while there is nothing to do --- */

struct table { u16 limit; u32 base; } __attribute__((packed));
static struct { u16 low, selector; u8 zero, type; u16 high; } __attribute__((packed)) idt[256];
static unsigned long long gdt[3] = {0, 0x00cf9a000000ffffULL, 0x00cf92000000ffffULL};
u8 stack[4096] __attribute__((aligned(16)));

void tick(void);
__asm__("tick: pushl %eax\n movb $0x20,%al\n outb %al,$0x20\n popl %eax\n iret\n");

static void set_timer(u32 ticks) {
  u32 cycles = ticks * PIT_TICK;
  outb(PIT_CONTROL, 0x34); outb(PIT_DATA, cycles & 255); outb(PIT_DATA, cycles >> 8);
}

static void set_up_machine(void) {
  struct table gdtr = {sizeof gdt - 1, (u32)gdt}, idtr = {sizeof idt - 1, (u32)idt};
  __asm__ volatile("lgdt %0\n ljmp $8,$1f\n1: movl $16,%%eax\n movl %%eax,%%ds\n"
                   "movl %%eax,%%es\n movl %%eax,%%ss\n" ::"m"(gdtr) : "eax");
  for (int i = 0; i < 256; i++) {
    u32 a = (u32)tick;
    idt[i].low = a; idt[i].high = a >> 16; idt[i].selector = 8; idt[i].type = 0x8e;
  }
  __asm__ volatile("lidt %0" ::"m"(idtr));
  outb(PIC1, 0x11); outb(PIC2, 0x11);
  outb(PIC1 + 1, 0x20); outb(PIC2 + 1, 0x28);
  outb(PIC1 + 1, 4); outb(PIC2 + 1, 2);
  outb(PIC1 + 1, 1); outb(PIC2 + 1, 1);
  outb(PIC1 + 1, 0xfe); outb(PIC2 + 1, 0xff); /* timer only */
  set_timer(1);
}

static u32 timer_left(void) { /* cycles until the next tick */
  outb(PIT_CONTROL, 0);
  u32 low = inb(PIT_DATA);
  return low | inb(PIT_DATA) << 8;
}

__attribute__((used)) void kmain(const u32 *info) { /* info: multiboot's */
  const char *cmdline = (info[0] & 4) ? (const char *)info[4] : "";
  u32 heartbeat = 0, pace = 1, upper_mib = (info[0] & 1) ? info[2] / 1024 : 8;
  window_max_mib = upper_mib - 4;
  set_up_machine();
  set('c', option(cmdline, 'c'));
  set('d', option(cmdline, 'd'));
  set('r', option(cmdline, 'r'));
  print("nano up\n");

  for (u32 t = 0;;) {
    t += pace;
    for (u32 i = 0; i < rate && window_pages; i++) {
      window[next_page * PAGE_WORDS] = t;
      window[next_page * PAGE_WORDS + PAGE_WORDS / 2] = t * 7 + next_page;
      if (++next_page >= window_pages) next_page = 0;
    }
    read_keyboard();
    /* Being woken is most of what an idle guest costs; with hundreds of them a slow machine is busy with it. */
    u32 idle = !busy && !(rate && window_pages) && t % IDLE_TICKS == 0;
    u32 next = idle ? IDLE_TICKS : 1;
    if (next != pace) set_timer(pace = next);
    while (busy && timer_left() > PIT_TICK / 100 * (100 - busy));
    __asm__ volatile("sti; hlt; cli");
    /* QEMU before 9.0 without KVM: after it has synced the dirty bitmap its TLB goes on writing without
       marking pages, and a page can miss its last writes at the destination. Each change of CR4.PSE
       flushes that TLB. */
    __asm__ volatile("movl %%cr4,%%eax; xorl $0x10,%%eax; movl %%eax,%%cr4" ::: "eax", "memory");
    if (t % 100 == 0) { print("hb "); print_number(++heartbeat); print_char('\n'); }
  }
}

__asm__(".section .text.boot,\"ax\"\n .balign 4\n .long 0x1BADB002, 3, -(0x1BADB002 + 3)\n" /* multiboot */
        ".globl _start\n_start: cli\n movl $stack+4096,%esp\n pushl %ebx\n call kmain\n");
