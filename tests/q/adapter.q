// Loaded after the hook. A q-compatible interpreter that differs from kdb+ in the callbacks' arguments is made to look
// like it, so that the hook itself can be written for kdb+ alone. On kdb+ nothing here changes anything.
//  - .z.pw gets the name as a symbol, not as a string
//  - .z.w is the new handle inside .z.pw; where it is 0 there, .z.po moves the login to the handle
//  - .z.po and .z.pc get the handle, not a number of the interpreter's own
//  - hclose does not call .z.pc

\d .adapter
hanging:0b
handle:{[h] $[-7h=type h;.z.w;h]}
pw:{[f;u;p] f[$[10h=type u;`$u;u];p]}
po:{[f;h]
  h:handle h;
  if[0i in exec handle from .sessiond.sessions where not open; update handle:h from `.sessiond.sessions where handle=0i,not open];
  f h}
pc:{[f;h] if[not .adapter.hanging; f handle h];}
hangup:{[h] .adapter.hanging:1b; @[hclose;h;::]; .adapter.hanging:0b;}
\d .

.z.pw:.adapter.pw[.z.pw]
.z.po:.adapter.po[.z.po]
.z.pc:.adapter.pc[.z.pc]
.sessiond.hangup:.adapter.hangup
