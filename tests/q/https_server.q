// What tests/q/interpreted.py asks of the interpreter. To q each connection of a browser is a handle, whose number the
// callbacks of HTTP and of websockets have in .z.w: here the handle of the connection that the server opens for it.
// Such a handle is no kdb+ client's: neither .z.po nor .z.pc is called for it. Loaded last.

\d .https
handles:0#0i
coming:0b
pw:{[f;u;p] $[p~"https_server.py";.https.coming:1b;f[u;p]]}
po:{[f;h] $[coming;[.https.coming:0b;.https.handles,:.z.w];f h]}
pc:{[f;h] $[.z.w in handles;.https.handles:handles except .z.w;f h]}

asked:{[text;names;values] (text;names!values)}
ac:{[x] $[@[{value x;1b};`.z.ac;0b];.z.ac x;(4i;"")]}           // without one q does as for 4
basic:{[user;password] 1b~.z.pw[user;password]}
ph:{[x] .z.ph x}
pp:{[x] .z.pp x}
wo:{[] .z.wo .z.w;}
ws:{[x] .z.ws x;}
wc:{[] .z.wc .z.w;}
\d .

.z.pw:.https.pw[.z.pw]
.z.po:.https.po[.z.po]
.z.pc:.https.pc[.z.pc]
