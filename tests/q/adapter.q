// Loaded after the hook. A q-compatible interpreter that differs from kdb+ in the callbacks' arguments is made to look
// like it, so that the hook itself can be written for kdb+ alone. On kdb+ nothing here changes anything but the last.
//  - .z.pw gets the name as a symbol, not as a string
//  - .z.w is the new handle inside .z.pw; where it is 0 there, .z.po moves the login to the handle
//  - .z.po and .z.pc get the handle, not a number of the interpreter's own
//  - hclose does not call .z.pc, nor .z.wc
//  - .z.w is the handle inside .z.ac; where it is 0 there, .z.wo moves the page to the handle
//  - (4;"") of .z.ac lets in whom .z.pw lets in by HTTP's basic authentication; the interpreter would let everybody in.
//    Only where .z.w is 0, so not for a server that stands before the interpreter and calls .z.ac
//  - hopen takes a password of any length and with colons in it: what .sessiond.hopen sends goes by a file of $QUDSPATH,
//    whose name is the password on the wire
//  - .adapter.user is the name that .z.ac gave last: there .z.u is not

\d .adapter
hanging:0b
user:`
handle:{[h] $[-7h=type h;.z.w;h]}
pw:{[f;u;p] f[$[10h=type u;`$u;u];$[p like "parked-*";first read0 parked p;p]]}
parked:{[name] hsym`$getenv[`QUDSPATH],"/",name}
dial:{[f;address;timeout]
  at:first address ss ":ticket:";
  name:"parked-",string first -1?0Ng;
  parked[name] 0: enlist (1+at)_address;
  f[((1+at)#address),name;timeout]}
po:{[f;h]
  h:handle h;
  if[0i in exec handle from .sessiond.sessions where not open; update handle:h from `.sessiond.sessions where handle=0i,not open];
  f h}
pc:{[f;h] if[not .adapter.hanging; f handle h];}
hangup:{[h] .adapter.hanging:1b; @[hclose;h;::]; .adapter.hanging:0b;}
wo:{[f;h]
  if[not null p:.sessiond.pageof 0i; .sessiond.turned 0i; `.sessiond.pages upsert (h;p;.z.p)];
  if[0i in exec handle from .sessiond.sessions where not open; update handle:h from `.sessiond.sessions where handle=0i,not open];
  f h}
ac:{[f;x]
  r:f x;
  r:$[(4~first r) and 0i~.z.w;basic x;r];
  .adapter.user:$[1~first r;`$r 1;`];
  r}
basic:{[x]
  a:.sessiond.authorization .sessiond.read x;
  if[not "basic"~a 0; :(0;"")];
  text:.sessiond.decoded ssr[ssr[(a 1) except "=";"+";"-"];"/";"_"];
  $[1b~.z.pw[`$(text?":")#text;(1+text?":")_text];(1;(text?":")#text);(0;"")]}
\d .

.z.pw:.adapter.pw[.z.pw]
.z.po:.adapter.po[.z.po]
.z.pc:.adapter.pc[.z.pc]
.z.wo:.adapter.wo[.z.wo]
.z.wc:.adapter.pc[.z.wc]
if[@[{value x;1b};`.z.ac;0b]; .z.ac:.adapter.ac[.z.ac]]
.sessiond.hangup:.adapter.hangup
.sessiond.dial:.adapter.dial[.sessiond.dial]
