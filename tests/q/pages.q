// A gateway's pages for the tests with a browser: the example at /, and elsewhere what says which page it is and to whom,
// where scripts may ask for more. Loaded before the hook.

\d .pages
text:{[x] "Page ",x[0]," for ",string .sessiond.who[.z.w]`name}
page:{[x] ssr[.h.hy[`htm;.h.hc text x];"Connection: close";"Cache-Control: no-store"]}
ph:{[front;x] $[x[0]~"";front x;page x]}
posted:()                                                       // what was
pp:{[x] .pages.posted,:enlist x 0; page x}
\d .

.z.ph:.pages.ph[.z.ph]
.z.pp:.pages.pp
.z.ws:{[x] neg[.z.w] string[.sessiond.who[.z.w]`name]," said ",x}
.z.pw:{[u;p] (u=`plain)&p~"pw"}
