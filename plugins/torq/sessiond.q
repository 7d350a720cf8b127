// sessiond.q - the hook that lets a q or TorQ process take OAuth tokens as passwords, verified by sessiond.
// Load it last: `q app.q sessiond.q`, or with TorQ `-load .../sessiond.q`. For kdb+ 3.5 and later (the daemon's proof
// needs -33! of 4.0, 2020.03.17). Guide and settings: README.md. Reading order: settings, the map, login, close,
// the daemon, the callbacks; then token.q (what is a token), plain.q (what is none), renew.q, pm.q (TorQ's permissions and
// logs), backend.q (people who logged in elsewhere), web.q (HTTP) and tickets.q (tokens for others).

if[@[value;`.sessiond.started;0b]; '"sessiond.q is loaded already"];
.sessiond.preset:@[key;`.sessiond;{[e] 0#`}]                    // the names that somebody has set

.sessiond.directory:@[value;`.sessiond.directory;{[e]           // of token.q and the like; a lambda's value tells its file (3.5)
  own:first -3#value {};
  own:$[10h=type own;own;""];
  own:$[count own;own;string .z.f];
  $["/" in own;"/" sv -1_"/" vs own;"."]}]
system "l ",.sessiond.directory,"/token.q"
system "l ",.sessiond.directory,"/plain.q"
system "l ",.sessiond.directory,"/renew.q"
system "l ",.sessiond.directory,"/pm.q"
system "l ",.sessiond.directory,"/backend.q"
system "l ",.sessiond.directory,"/web.q"
system "l ",.sessiond.directory,"/tickets.q"

\d .sessiond
version:"0.1.0"                                                 // of this hook, told to the daemon for `sessionctl status`

// ---- settings: set them before this file is loaded ----
port:@[value;`.sessiond.port;5099]                              // the daemon's [listen] port
address:@[value;`.sessiond.address;`$":unix://",string port]    // for hopen; the directory is q's $QUDSPATH, or /tmp
name:@[value;`.sessiond.name;`]                                 // of this process, for the daemon; ` = TorQ's procname, or q
timeout:@[value;`.sessiond.timeout;500]                         // milliseconds for hopen
retry:@[value;`.sessiond.retry;0D00:00:01]                      // between two attempts to reach the daemon
maxretry:@[value;`.sessiond.maxretry;0D00:00:30]                // the most, after attempts that cost time or met no proof
proof:@[value;`.sessiond.proof;1b]                              // send no token to a daemon that has not proved itself
proofkey:@[value;`.sessiond.proofkey;`]                         // the file with the proof key, e.g. `:/etc/sessiond/proof
passwords:@[value;`.sessiond.passwords;`]                       // a file of plain passwords in -u format; ` = that of -u or -U, if any
earlier:@[value;`.sessiond.earlier;`detect]                     // the .z.pw that was there: `detect if it checks, `trust, `ignore
fallback:@[value;`.sessiond.fallback;0b]                        // where nothing checks plain passwords: accept everybody
assign:@[value;`.sessiond.assign;`role]                         // a token's role is a `role or a `group of TorQ's .pm
backend:@[value;`.sessiond.backend;0b]                           // give rights to people who logged in elsewhere (a gateway)
linger:@[value;`.sessiond.linger;0D01:00:00]                    // how long these stay while the daemon is away
web:@[value;`.sessiond.web;0b]                                  // let people in by HTTP with tokens and by their browser
webcache:@[value;`.sessiond.webcache;0D00:01:00]                // how long a verdict on them is kept, at most
arguments:@[value;`.sessiond.arguments;{[e].z.X}]               // the command line that q was started with
unopened:@[value;`.sessiond.unopened;0D00:00:10]                // a login may wait so long for .z.po (HTTP logins have none)
pace:@[value;`.sessiond.pace;0D00:00:01]                        // the least between two renewals of one session
audiences:@[value;`.sessiond.audiences;(0#`)!0#`]               // what processes are called, by address: see tickets.q

// ---- log: never a password, never a name that might be one ----
torq:@[{value x;1b};`.lg.o;0b]
out:{[text] $[torq;.lg.o[`sessiond;text];-1 string[.z.p]," sessiond: ",text];}
warn:{[text] $[torq;@[value;`.lg.w;{[e].lg.o}][`sessiond;text];-2 string[.z.p]," sessiond: warning: ",text];}
err:{[text]                                                     // .lg.e would end a process that is still loading
  if[not torq; -2 string[.z.p]," sessiond: error: ",text; :()];
  $[@[value;`.proc.initialised;0b];.[.lg.e;(`sessiond;text);::];warn text];}
shown:{[user] showntext string user}
showntext:{[text]
  if[(128<count text) or (";" in text) or any starts[;text] each ("eyJ";"bearer:";"ticket:"); :"(token)"];
  if[not `plain~kind text; :"(token)"];
  $[all text within " ~";text;"(unprintable)"]}

// ---- settings that are not what they must be: nobody knows what was meant, so nobody is let in ----
isnumber:{[x] $[any type[x]=-5 -6 -7h;x>0;0b]}
isspan:{[least;x] $[-16h=type x;not x<least;0b]}                // a number would be nanoseconds
isfile:{[x] $[-11h=type x;(null x) or ":"=first string x;0b]}
isflag:{[x] -1h=type x}
issymbol:{[x] -11h=type x}
musts:(
  (`port;isnumber;"a number, such as 5099");
  (`address;issymbol;"a symbol, such as `:unix://5099");
  (`name;issymbol;"a symbol, such as `gateway1");
  (`timeout;isnumber;"a number of milliseconds, such as 500");
  (`retry;isspan[0D00:00:00.001];"a timespan, such as 0D00:00:01");
  (`maxretry;isspan[0D00:00:00.001];"a timespan, such as 0D00:00:30");
  (`proof;isflag;"1b or 0b");
  (`proofkey;isfile;"a file symbol, such as `:/etc/sessiond/proof");
  (`passwords;isfile;"a file symbol, such as `:/etc/kdb/passwords");
  (`earlier;{[x] any x~/:`detect`trust`ignore};"`detect, `trust or `ignore");
  (`fallback;isflag;"1b or 0b");
  (`assign;{[x] any x~/:`role`group};"`role or `group");
  (`backend;isflag;"1b or 0b");
  (`linger;isspan[0D00:00:00];"a timespan, such as 0D01:00:00");
  (`web;{[x] $[isflag x;(not x) or hasbasic[.z.K;.z.k];0b]};"1b or 0b; 0b on kdb+ before 4.0 of 2021.07.12");
  (`webcache;isspan[0D00:00:00];"a timespan, such as 0D00:01:00");
  (`unopened;isspan[0D00:00:00.001];"a timespan, such as 0D00:00:10");
  (`pace;isspan[0D00:00:00];"a timespan, such as 0D00:00:01");
  (`audiences;areplaces;"addresses!names, such as (enlist`:rdbhost:5010)!enlist`rdb1"))
insist:{[]
  unknown:preset except `,`directory`arguments,musts[;0];
  if[count unknown; warn "no settings of the hook: ",", " sv ".sessiond.",/:string unknown];
  amiss:musts where not {[m] m[1] value ` sv `.sessiond,m 0} each musts;
  if[0=count amiss; :()];
  put[`.z.pw;{[u;p] 0b}];
  told:{[m] err ".sessiond.",string[m 0]," is of type ",string[type value ` sv `.sessiond,m 0],"h, must be ",m 2};
  told each amiss;                                              // not the value: somebody may have put the key itself there
  '"sessiond.q: wrong settings, so every login is refused: mend ",(", " sv ".sessiond.",/:string amiss[;0])," and start q anew"}

// ---- the map: which session each handle holds ----
// handle: null of a web session (web.q); user: as typed, which is .z.u; name: as verified; attributes: (keys;values);
// open: .z.po or .z.wo was there; ws: a websocket; listed: in .z.W, where we see it go; at: of the login; order: of the token among all tokens; renewing:
// when a renewal was sent that is not answered yet; renewed: when the last one was sent
sessions:([session:0#0Ng]
  handle:0#0Ni; user:0#`; name:0#`; roles:(); attributes:(); expires:0#0Np; open:0#0b; ws:0#0b; listed:0#0b;
  at:0#0Np; order:0#0; renewing:0#0Np; renewed:0#0Np)
ended:(0#0Ng)!0#0Np                                             // sessions that ended before they were opened, and when we heard it
counter:0
turn:{[] .sessiond.counter:1+counter; counter}

on:{[h] exec session from sessions where handle=h,not null handle}   // a web session is on none
live:{[u] lower[u] in lower (exec user from sessions),exec user from standing}   // lower: a typed name may differ in case
holder:{[h] s:exec session from sessions where handle=h,open,not null handle; $[count s;first s;pageof h]}
who:{[h]                                                        // for the application; an empty dictionary: no token session
  s:holder h;
  if[not s in exec session from sessions; :()!()];
  r:sessions s;
  `session`user`name`roles`attributes`expires!(s;r`user;r`name;r`roles;.[!;r`attributes];r`expires)}

drop:{[s]                                                       // forget sessions, and the rights that came with them
  s:s,();
  if[0=count s; :()];
  users:exec user from sessions where session in s;
  delete from `.sessiond.sessions where session in s;
  unkeep s;
  settle users;}
gone:{[s]                                                       // forget it, and if it was open the daemon hears that it left
  left:$[sessions[s;`open];enlist sessions[s;`handle];()];      // one that only waits is the daemon's to forget, too
  drop s;
  {[s;h] tell(`disconnect;h;s)}[s] each left;}
goeson:{[s;d]                                                   // what a push says of a session that goes on
  if[-12h=type d`expires; if[not null d`expires; .[`.sessiond.sessions;(s;`expires);:;d`expires]]];
  if[d[`event] in `roles`renewed; if[11h=type d`roles; .[`.sessiond.sessions;(s;`roles);:;d`roles]]];
  if[`renewed=d`event; .[`.sessiond.sessions;(s;`order);:;turn[]]];
  settle sessions[s;`user];}

// ---- login ----
login:{[user;password]                                          // what .z.pw answers
  client .z.w;
  turned .z.w;
  gone each on .z.w;                                            // a handle that logs in is new: the one before went by hclose
  what:kind password;
  if[not admitted user; :refuse[user;"TorQ's .access does not let this name in from this host"]];
  if[what~`token; :bytoken[user;password]];
  if[what~`toolarge; :refuse[user;"toolarge"]];
  if[what~`almost; :refuse[user;"almost a token: it must be whole, with nothing around it: JWT, ACCESS;REFRESH, bearer:ACCESS or ticket:JWT"]];
  if[byplain[user;password]; :1b];
  refuse[user;"plain password: ",whyplain[]]}
refuse:{[user;why] warn "login of ",shown[user]," refused: ",why; 0b}

bytoken:{[user;password]
  if[not permitted user; :refuse[user;".pm has the name with another authtype than sessiond, or for a group"]];
  r:ask(`connect;`user`password`handle`address!(user;password;.z.w;.z.a));
  if[not granted r; :refuse[user;string refusal r]];
  if[not lower[user]~lower r`user; :refuse[user;"the daemon answered with another name"]];
  if[r[`session] in key ended; :refuse[user;"ended meanwhile"]];
  if[sessions[r`session;`open]; :refuse[user;"the daemon answered with an open session"]];
  s:r`session;
  drop s;                                                       // HTTP and a doubled handshake get the same session again
  row:(s;.z.w;user;r`user;r`roles;(key;value)@\:r`attributes;r`expires;0b;0b;0b;.z.p;turn[];0Np;0Np);
  `.sessiond.sessions upsert (cols sessions)!row;
  if[count settle user; drop s; :refuse[user;".pm would not have the name"]];
  out "login of ",shown[user]," accepted, handle ",string[.z.w],", session ",string s;
  1b}

granted:{[r]                                                    // an acceptance is whole or it is none
  if[not 99h=type r; :0b];
  if[not all `ok`session`user`roles`attributes`expires in key r; :0b];
  if[not 1b~r`ok; :0b];
  if[not -2 -11 -12h~type each r`session`user`expires; :0b];
  if[not (11h=type r`roles) and 99h=type r`attributes; :0b];
  not null r`session}
refusal:{[r] $[99h=type r;$[-11h=type r`reason;r`reason;`unavailable];`unavailable]}

// ---- open and close ----
opened:{[w;h]                                                   // .z.po (w: 0b) and .z.wo (w: 1b)
  client h;
  if[not w; turned h];
  s:exec session from sessions where handle=h,not open,(user=.z.u)|null .z.u;
  gone each on[h] except s;                                     // of a handle of this number that q closed itself
  if[not null p:pageof h; r:socket[p;h]; turned h; :r];          // from now on it is the child's
  if[0=count s; :0b];
  s:first s;
  update open:1b,ws:w,listed:(not w)|h in key .z.W from `.sessiond.sessions where session=s;
  tell(`opened;s;h);
  s in key ended}
closed:{[h]                                                     // .z.pc and .z.wc
  turned h;
  if[h=daemon; forget "closed its end"];
  s:on h;
  drop each s;
  {[h;s] tell(`disconnect;h;s)}[h] each s;}

hangup:{[h] @[hclose;h;::];}                                    // no flush: a client that does not read would hold q
close:{[h;reason] shut[any exec ws from sessions where handle=h;h;reason]}   // end a token session's handle
shut:{[w;h;reason]                                              // as if the client had left
  handler:$[w;`.z.wc;`.z.pc];
  out "closing handle ",string[h]," of ",shown[first exec user from sessions where handle=h],": ",string reason;
  drop each on h;
  hangup h;
  @[value handler;h;{[e] err "after closing a handle: ",e}];}   // kdb+ does not call it after hclose

// ---- pushes ----
upd:{[d]                                                        // anybody may send one, only the daemon is heard
  if[not .z.w=daemon; :()];
  if[ours[]; @[pushed;d;{[e] err "push: ",e}]];}
pushed:{[d]
  event:d`event; s:d`session;
  if[event~`bye; .sessiond.leaving:1b; .sessiond.due:.z.p; :out "the daemon is stopping"];
  if[event~`standing; :stood d];
  if[s in exec session from webs; :newsof[event;s;d]];
  known:s in exec session from sessions;
  open:sessions[s;`open];                                       // 0b for what we do not know
  if[open; if[not d[`handle]~sessions[s;`handle]; :out "stale push ignored: ",string event]];
  final:event in `revoked`expired;
  if[final and open; :close[d`handle;$[null d`reason;event;d`reason]]];
  if[final; .sessiond.ended,:(enlist s)!enlist .z.p; :()];       // before .z.po, or long after .z.pc
  if[not known; :unknown[event;s;d`handle]];
  if[event~`renewed;
    .[`.sessiond.sessions;(s;`renewing);:;0Np];
    if[not null d`reason; :warn "renewal of ",shown[sessions[s;`user]]," refused: ",string d`reason]];
  goeson[s;d];}
unknown:{[event;s;h]                                            // the daemon keeps a session that is not here: it hears so
  if[asking or not event in `refreshed`roles`renewed; :()];     // asking: it may be the one that a login waits for
  if[not -2 -6h~type each (s;h); :()];
  if[(not null s) and h>0; tell(`disconnect;h;s)];}

// ---- the daemon ----
daemon:0Ni                                                      // our handle to it, after its proof
greeting:0Ni                                                    // a handle to what has not proved itself: it could send q any code
mark:()                                                         // what q says of that handle, from then on
asking:0b                                                       // a call waits for its answer
leaving:0b                                                      // it said bye
due:0Np                                                         // when to try again
pause:retry
trouble:""                                                      // why the last attempt failed
server:""; instance:0Ng; deadline:0Nn; since:0Np

// Handles are numbers, and used again. q code may close ours (hclose calls no .z.pc), and the number may be anybody's the
// next moment. A client that has it comes through .z.pw, .z.po or .z.wo; besides, before each use we look whether the
// number is a handle at all, and of the kind that ours was (-38!, where this q has it).
markof:{[h] $[h in key .z.W;@[{-38!x};h;{[e]()}];0b]}
ours:{[]
  if[null daemon; :0b];
  if[mark~markof daemon; :1b];
  forget "its handle was closed";
  0b}
client:{[h] if[h=daemon; forget "its handle was closed, and is a client's now"];}
ready:{[] $[leaving;0b;ours[]]}
forget:{[why]                                                   // closes nothing: the number may be another's
  if[null daemon; :()];
  .sessiond.daemon:0Ni; .sessiond.leaving:0b; .sessiond.due:.z.p; .sessiond.pause:retry; .sessiond.trouble:why;
  update renewing:0Np from `.sessiond.sessions;
  warn "the daemon is away: ",why,"; token logins are refused, live sessions stay";}
depart:{[why] if[ours[]; h:daemon; forget why; @[hclose;h;::]];}

// the answer to a call, or :: when there is none
ask:{[call]
  r:answer call;
  if[first r; :r 1];
  if[count r 1; err "the daemon answered: ",r 1];
  (::)}
// (1b;the answer), or (0b;what the daemon refuses the call with), or (0b;"") where it is away. It answers within its
// deadline; q has no timeout of its own here. Pushes are handled while we wait.
answer:{[call]
  if[not ready[]; :(0b;"")];
  h:daemon;
  .sessiond.asking:1b;
  r:.[{[h;call](1b;h call)};(h;call);{[e](0b;e)}];
  .sessiond.asking:0b;
  if[first r; :r];
  if[starts["sessiond";r 1]; :r];
  if[h~daemon; forget r 1];
  (0b;"")}
tell:{[call] if[ready[]; .[{[h;call] neg[h] call};(daemon;call);{[e] forget e}]];}

digest:{[k;n] -33!k,"c"$-33!k,"sessiond:",$[count d:getenv`QUDSPATH;d;"/tmp"],"/kx.",string[port],":",n}
proved:{[n;r]                                                   // "" when the daemon knows the key, else what is amiss
  if[null proofkey; :"no .sessiond.proofkey is set: name the file of the daemon's proof_key_file"];
  k:@[{first read0 x};proofkey;{[e]0b}];
  if[not 10h=type k; :"the key in ",(1_string proofkey)," cannot be read: q's user must be in its group (.sessiond.proofkey)"];
  if[32>count k; :"the key in ",(1_string proofkey)," is shorter than 32 characters: name the daemon's proof_key_file (.sessiond.proofkey)"];
  ours:.[digest;(k;n);{[e]()}];
  if[not 20=count ours; :"no -33! in this q: the proof needs kdb+ 4.0 of 2020.03.17"];
  $[ours~r`proof;"";"no proof: its key, port or $QUDSPATH are not ours, or somebody else is listening at the daemon's address"]}

greet:{[h]                                                      // "" when a daemon that we trust answers, else what is amiss
  n:(string first -1?0Ng),string .z.p;
  what:$[torq;@[value;`.proc.proctype;`torq];`q];
  r:.[{[h;call] h call};(h;(`hello;`name`type`host`pid`nonce`version!(self[];what;.z.h;.z.i;n;version)));{[e] e}];
  if[not 99h=type r; :"hello: ",$[10h=type r;(100&count r)#r;"not an answer"]];
  if[not all `server`instance`proof`deadline in key r; :"hello: not an answer"];
  if[not 10 -16h~type each r`server`deadline; :"hello: not an answer"];
  if[proof; if[count amiss:proved[n;r]; :amiss]];
  .sessiond.server:r`server; .sessiond.instance:r`instance; .sessiond.deadline:r`deadline; .sessiond.since:.z.p;
  ""}
self:{[] $[null name;$[torq;@[value;`.proc.procname;`q];`q];name]}
target:{[] `$string[address],":",(string[self[]] inter .Q.an,"-."),":hook"}

attempt:{[]                                                     // one try to reach the daemon; never inside .z.pw
  began:.z.p;
  h:@[hopen;(target[];timeout);{[e] e}];
  reached:not 10h=type h;
  if[reached; drop each on h; .sessiond.greeting:h];            // drop as in .z.po: reconcile will not name them
  amiss:$[reached;@[greet;h;{[e] "hello: ",e}];h];
  .sessiond.greeting:0Ni;
  if[count amiss;
    if[reached; @[hclose;h;::]];
    .sessiond.pause:$[reached or 0D00:00:00.1<.z.p-began;maxretry&2*pause;retry];
    .sessiond.due:.z.p+pause;
    if[not amiss~trouble; warn $[reached;"no token is sent to what listens at ",string[address],": ",amiss;
      "no daemon at ",string[address],": ",amiss,": see that sessiond runs, listens there and lets this user in (sessionctl doctor)"]];
    .sessiond.trouble:amiss;
    :()];
  .sessiond.daemon:h; .sessiond.mark:markof h; .sessiond.leaving:0b; .sessiond.pause:retry; .sessiond.trouble:"";
  out "connected to ",server,$[proof;", which proved itself";"; NO PROOF WAS ASKED (.sessiond.proof:0b)"];
  forgetwebs[];                                                 // what ended while it was away is not told: they are asked for again
  held:0!select from sessions where open;
  r:ask(`reconcile;held`handle;held`session);
  if[not type[r] in 0 6h; depart "reconcile was not answered"; :()];
  close[;`reconciled] each r inter exec handle from sessions where open;
  follow[];}

// ---- the timer ----
tick:{[x] @[beat;x;{[e] err "timer: ",e}];}                     // TorQ's timer drops a function that fails
beat:{[x]
  if[leaving; depart "it stopped"];
  ours[];
  drop each exec session from sessions where (not open)&at<.z.p-unopened;
  gone each exec session from sessions where open,listed,not handle in key .z.W;   // q's own hclose calls no .z.pc
  lapse[];
  sweep[];
  fresh:where ended>.z.p-0D00:10; .sessiond.ended:fresh!ended fresh;
  if[null daemon; if[not due>.z.p; attempt[]]];}

status:{[]                                                      // for the administrator
  r:`connected`proof`server`instance`deadline`since`trouble!(ready[];proof;server;instance;deadline;since;trouble);
  r,`open`waiting`web`elsewhere`passwords`earlier`fallback!(sum exec open and not null handle from sessions;
    sum exec not open from sessions;count webs;count standing;passwords;checks;fallback)}

// ---- taking over the callbacks, once ----
nothing:{[x] x}                                                 // stands for a callback that was not there
put:{[callback;f] $[@[{value x;1b};`.dotz.set;0b];.dotz.set[callback;f];set[callback;f]];}
begun:{[was;w;h]                                                // .z.po and .z.wo; was: the process's own
  doomed:.[opened;(w;h);{[h;e] err "opened: ",e; not null pageof h}[h]];
  if[not doomed; :was h];
  @[was;h;::];
  shut[w;h;`ended];}
finished:{[was;h] @[closed;h;{[e] err "closed: ",e}]; was h}    // .z.pc and .z.wc
asked:{[was;x] was masked x}                                    // .z.ph, .z.pp and .z.pm
// .z.ps and .z.pg: q runs what comes while it waits for an answer. own: no zpsignore lets pushes and renewals through
guard:{[was;own;x] $[.z.w=greeting;();own and any first[x]~/:passing;value x;was x]}
start:{[]
  .sessiond.before:`pw`po`pc`wo`wc`ps`pg`ts`ph`pp`pm!{@[value;` sv `.z,x;{[e] nothing}]} each `pw`po`pc`wo`wc`ps`pg`ts`ph`pp`pm;
  .sessiond.checks:detect before`pw;
  flags:flagfile[];
  if[not null flags;
    warn "q was started with -u or -U: it refuses tokens before the hook sees them; use .sessiond.passwords instead";
    if[null passwords; .sessiond.passwords:flags]];
  put[`.z.pw;{[u;p] .[login;(u;p);{[e] err "login: ",e; 0b}]}];
  put[`.z.po;begun[before`po;0b]];
  put[`.z.wo;begun[before`wo;1b]];
  put[`.z.pc;finished before`pc];
  put[`.z.wc;finished before`wc];
  {[c] if[not nothing~before c; put[` sv `.z,c;asked before c]]} each `ph`pp`pm;
  quiet[];
  actors[];
  if[web; takeover[]];
  {[c;own] put[` sv `.z,c;guard[$[nothing~before c;value;before c];own]]}'[`ps`pg;(not @[value;`.zpsignore.enabled;0b];0b)];
  $[@[value;`.timer.enabled;0b];
    .timer.repeat[.proc.cp[];0Wp;retry;(`.sessiond.tick;(::));"sessiond: reach the daemon"];   // a mixed list: see quiet
    put[`.z.ts;{[was;x] tick x; was x}[before`ts]]];
  if[0=system"t"; system"t ",string(`long$retry)div 1000000];
  if[open:fallback and (null passwords) and not checks; warn "plain passwords: EVERYBODY IS ACCEPTED (.sessiond.fallback)"];
  if[not open; out "plain passwords: ",$[checks and not null passwords;"by file and by the .z.pw that was there";
    not null passwords;"by file";
    checks;"by the .z.pw that was there";
    "refused, there is no check of them"]];
  tick[];}

\d .
.sessiond.insist[]
.sessiond.started:1b
.sessiond.start[]
