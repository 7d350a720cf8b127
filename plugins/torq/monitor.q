// monitor.q - an example: a q process that hears from sessiond who logs in where, by .u.sub, and keeps a table of it.
// `q monitor.q`, or with TorQ `-load .../monitor.q`; then .monitor.who[]. For kdb+ 3.5 and later. It needs a process of its
// own, since sessiond knows a process by its pid: one connection each, and the hook (sessiond.q) has one already.
// It knows what happened since it subscribed, .monitor.since: sessiond keeps no place for it. Whoever was logged in before
// that is listed from his next refresh on. Reads and sends nothing secret; proves nothing of the daemon either, so on a
// machine where others may squat the daemon's address believe it no more than that address.

if[@[value;`.sessiond.started;0b]; '"monitor.q needs a process of its own: this one has the hook (sessiond.q)"];

.monitor.before:@[value;`upd;{[e] {[t;x]}}]                     // the process's own upd, for other tables

\d .monitor

// ---- settings: set them before this file is loaded ----
port:@[value;`.monitor.port;5099]                               // the daemon's [listen] port
address:@[value;`.monitor.address;`$":unix://",string port]     // for hopen; the directory is q's $QUDSPATH, or /tmp
name:@[value;`.monitor.name;`]                                  // of this process, for the daemon; ` = TorQ's procname, or monitor
timeout:@[value;`.monitor.timeout;500]                          // milliseconds for hopen
retry:@[value;`.monitor.retry;0D00:00:05]                       // between two attempts to reach the daemon
users:@[value;`.monitor.users;`]                                // whom to hear of, e.g. `alice`bob; ` = of everybody
keep:@[value;`.monitor.keep;10000]                              // events that are kept in .monitor.events

// ---- what is known ----
sessions:([session:0#0Ng] user:0#`; process:0#`; handle:0#0Ni; issuer:0#`; roles:(); expires:0#0Np; since:0#0Np)
events:()                                                       // the newest events, as sessiond sends them
since:0Np                                                       // from when on we know
ends:`session.revoked`session.expired`session.closed

who:{[] `user`process xasc 0!sessions}                          // who is logged in where
refused:{[] select rows:count i,latest:max time by sym,process,reason from events where event=`login.refused}   // a row sums a second

// ---- rows ----
upd:{[rows]
  .monitor.events:neg[keep]sublist$[count events;events,rows;rows];
  row each rows;}
row:{[r]
  s:r`session;
  if[r[`event]=`gap; :anew "events were lost"];
  if[null[s] or not r[`event] like "session.*"; :()];           // a refused login, or what an operator did
  if[r[`event] in ends; delete from `.monitor.sessions where session=s; :()];
  was:exec first since from sessions where session=s;
  known:`session`user`process`handle`issuer`roles`expires`since!
    (s;r`sym;r`process;r`handle;r`issuer;r`roles;r`expires;$[null was;r`time;was]);
  `.monitor.sessions upsert known;}
anew:{[why]                                                     // we know nothing any more
  delete from `.monitor.sessions;
  .monitor.since:.z.p;
  out "listening from now on: ",why;}

// ---- the daemon ----
h:0Ni
due:0Np
trouble:""
torq:@[{value x;1b};`.lg.o;0b]
out:{[text] $[torq;.lg.o[`monitor;text];-1 string[.z.p]," monitor: ",text];}
self:{[] $[null name;$[torq;@[value;`.proc.procname;`monitor];`monitor];name]}

subscribe:{[h]                                                  // "" when the daemon has taken us, else what is amiss
  about:`name`type`host`pid`nonce!(self[];`monitor;.z.h;.z.i;(string first -1?0Ng),string .z.p);
  r:.[{[h;call] h call};(h;(`hello;about));{[e] e}];
  if[not 99h=type r; :"hello: ",$[10h=type r;r;"not an answer"]];
  .monitor.h:h;                                                 // rows may come while we wait for the answer
  r:.[{[h;call] h call};(h;(`.u.sub;`sessionevents;users));{[e] e}];
  if[10h=type r; :".u.sub: ",r];
  .monitor.events:last r;
  ""}
attempt:{[]                                                     // hopen always with a timeout
  .monitor.due:.z.p+retry;
  c:@[hopen;(`$string[address],":",(string[self[]] inter .Q.an,"-."),":monitor";timeout);{[e] e}];
  amiss:$[10h=type c;c;subscribe c];
  if[0=count amiss; .monitor.trouble:""; :anew "connected"];
  if[not 10h=type c; lost[]; @[hclose;c;::]];
  if[not amiss~trouble; out "no daemon at ",string[address],": ",amiss];
  .monitor.trouble:amiss;}
lost:{[] .monitor.h:0Ni; .monitor.due:.z.p+retry;}              // what is in the tables stays, until we are back

// ---- callbacks and the timer ----
tick:{[x] @[beat;x;{[e] out "timer: ",e}];}
beat:{[x]
  if[not null h; if[not h in key .z.W; lost[]; out "the daemon is away"]];
  if[null h; if[not due>.z.p; attempt[]]];}
client:{[was;x] if[.z.w=h; lost[]]; was x}                      // q code closed ours, and its number is a client's now
start:{[]
  {set[x;client @[value;x;{[e] {[x] x}}]]} each `.z.po`.z.wo;
  .monitor.ts:@[value;`.z.ts;{[e] {[x] x}}];
  $[@[value;`.timer.enabled;0b];
    .timer.repeat[.proc.cp[];0Wp;retry;(`.monitor.tick;`);"monitor: reach sessiond"];
    .z.ts:{[was;x] tick x; was x}ts];
  if[0=system"t"; system"t ",string(`long$retry)div 1000000];
  tick[];}

\d .
.monitor.start[]
upd:{[t;x] $[(t~`sessionevents) and .z.w=.monitor.h;.monitor.upd x;.monitor.before[t;x]];}   // only the daemon is heard
.sessiond.upd:{[d] }                                            // the daemon says bye to every process; we see it close
