// web.q - logins over HTTP: what .z.ac answers where .sessiond.web is set. A bearer token or a cookie of ours goes to the
// daemon (its call `web`), which says whose it is, or what the browser is to be told. An acceptance is kept for a minute
// at most, by a digest of what was sent. A web session is a row of `sessions` without a handle, and so has its rights in
// .pm; a websocket of it has a session of its own, whose end closes the handle. No symbol is made from what comes in.

\d .sessiond

hasbasic:{[K;k] not (K within 2 3.9) or k<2021.07.12}           // does .z.ac of such a q know (4;"")

webs:([session:0#0Ng] signout:(); seen:0#0Np)                   // web sessions, and when the daemon spoke of each last
kept:([tag:0#0Ng] session:0#0Ng; until:0#0Np)                   // whose it is what was sent, and when to ask again
mostwebs:10000; mostkept:10000; mosteach:4                      // sessions; kept in all, and of one session
mostcookies:256                                                 // of a request: browsers keep fewer, and each is looked at
pages:([handle:0#0i] session:0#0Ng; at:0#0Np)                   // whose the last request on a handle was
salt:string first -1?0Ng                                        // of the digests
webtrouble:""                                                   // why the daemon does not take the call

isweb:{[s] s in exec session from webs}
pageof:{[h] pages[h;`session]}
turned:{[h] delete from `.sessiond.pages where handle=h;}       // what comes on this handle is another's now
unkeep:{[s] delete from `.sessiond.kept where session in s; delete from `.sessiond.webs where session in s;}
forgetwebs:{[] drop exec session from webs}
sweep:{[]                                                       // by the timer
  delete from `.sessiond.pages where at<.z.p-unopened;          // they are over by now, and the number may be anybody's
  drop exec session from sessions where (null handle)&expires<.z.p;
  delete from `.sessiond.kept where until<.z.p;}

// ---- what a request brings ----
chars:{[x] $[10h=type x;x;-10h=type x;enlist x;""]}
read:{[x]                                                       // what .z.ac gets, as (path and query; names of headers; values)
  text:chars first x;
  text:(text?" ")#text;                                         // the body of a POST may follow
  headers:$[99h=type last x;last x;()!()];
  (text;{[k] lower $[10h=type k;k;string k]} each key headers;chars each value headers)}   // clients write them as they like
named:{[x;name] $[count x 1;x[2] where x[1]~\:name;()]}            // all headers of a name; x here and below: as read
joined:{[between;values] $[count values;between sv values;""]}
cookies:{[text] ";" vs text}
iscookie:{[cookie]                                              // one of ours, as the daemon finds them
  name:lower ((blank cookie)?0b)_cookie;
  starts["sessiond-";name] or starts["__host-sessiond-";name]}
authorization:{[x]                                              // (scheme; the rest)
  a:joined["";named[x;"authorization"]];                        // one: see amiss
  (lower (a?" ")#a;trim (a?" ")_a)}
request:{[x]                                                    // for the call
  a:authorization x;
  `target`bearer`cookie`accept`origin`host`site!($["/"~first x 0;x 0;"/",x 0];$["bearer"~a 0;a 1;""];
    joined["; ";named[x;"cookie"]];joined[", ";named[x;"accept"]];joined["";named[x;"origin"]];joined["";named[x;"host"]];
    joined[", ";named[x;"sec-fetch-site"]])}
longest:`target`bearer`cookie`accept`origin`host`site!16384 32768 16384 4096 4096 4096 4096   // as the daemon's: it hangs up on a flood
amiss:{[x;r]                                                    // why it is not answered, as (status; text); () = it is
  if[any 1<count each named[x] each ("authorization";"host";"origin"); :(400;"a header twice that may come once")];
  if[("bearer"~first authorization x) and 0=count r`bearer; :(400;"no token after Bearer")];
  beyond:where longest<count each r;
  if[mostcookies<sum ";"=r`cookie; beyond,:`cookie];
  $[`target in beyond;(414;"the address is too long");count beyond;(431;"a header is too long");()]}

own:{[r] starts["/.sessiond/";r`target]}                        // the daemon's own pages
// what another site had the browser ask for is not answered from what is kept: the daemon may want a click first
anew:{[r] own[r] or not any r[`site]~/:("";"none";"same-origin")}
brings:{[r] $[count r`bearer;enlist r`bearer;c where iscookie each c:cookies r`cookie]}   // what tells the person
tagof:{[r;brought]                                              // a bearer alone counts; a cookie for this host and origin
  what:$[count r`bearer;enlist["bearer"],brought;("cookie";lower r`host;r`origin),brought];
  "G"$"-" sv 0 8 12 16 20 cut hex 16#-33!"\n" sv enlist[salt],what}

// ---- what .z.ac answers ----
phrases:200 202 302 303 400 401 403 404 405 414 429 431 500 503!("OK";"Accepted";"Found";"See Other";"Bad Request";"Unauthorized";
  "Forbidden";"Not Found";"Method Not Allowed";"URI Too Long";"Too Many Requests";"Request Header Fields Too Large";"Internal Server Error";
  "Service Unavailable")
respond:{[status;headers;body]
  status:"j"$status;
  (2;"HTTP/1.1 ",string[status]," ",$[status in key phrases;phrases status;""],"\r\n",headers,"\r\n",body)}
plainpage:{[status;headers;text]                                // where the daemon has none
  text,:"\n";
  headers,:"Content-Type: text/plain; charset=utf-8\r\nContent-Length: ",string[count text],"\r\nCache-Control: no-store\r\n";
  respond[status;headers,"X-Content-Type-Options: nosniff\r\n";text]}
later:{[] plainpage[503;"Retry-After: 5\r\n";"Who you are cannot be found out now: sessiond does not answer. Try again in a moment."]}

ac:{[x] acof[.z.w;x]}
acof:{[h;x] @[judge[h];x;{[h;e] err "HTTP: ",e; turned h; (0;"")}[h]]}
judge:{[h;x]
  client h;
  turned h;
  gone each on h;                                               // of a handle of this number that q closed itself
  x:read x;
  r:request x;
  if[count a:amiss[x;r]; :plainpage[a 0;"";"This request is not answered: ",a[1],"."]];
  bare:0=count brought:brings r;
  if[bare and (not own r) and 0<count first authorization x; :(4;"")];   // a password: .z.pw judges it
  k:$[bare;0Ng;tagof[r;brought]];
  if[not anew r; if[not null s:keptof k; :letin[h;s]]];
  v:verdict r;
  if[own r; forgetkept kept[k;`session]];                       // it may have signed out
  $[not 99h=type v;later[];
    `basic~v`action;(4;"");
    `allow~v`action;allowed[h;k;v];
    respond[v`status;v`headers;v`body]]}
letin:{[h;s]
  u:sessions[s;`user];
  if[not admitted u; :unfit[u;"TorQ's .access does not let this name in from this host"]];   // of each request: the host may be another
  `.sessiond.pages upsert (h;s;.z.p);
  (1;string u)}
unfit:{[u;why]
  warn "HTTP request of ",shown[u]," refused: ",why;
  plainpage[403;"";"You may not come in here. The log of this process says why."]}

// ---- what the daemon says ----
verdict:{[r]                                                    // its answer, or ()
  a:answer(`web;r,(enlist`address)!enlist .z.a);
  was:webtrouble;
  .sessiond.webtrouble:$[first a;$[wholeweb a 1;"";"not an answer"];a 1];
  if[(count webtrouble) and not was~webtrouble; err "the daemon does not say who comes by HTTP: ",webtrouble];
  $[(first a) and 0=count webtrouble;a 1;()]}
wholeweb:{[v]                                                   // an answer is whole or it is none
  if[not 99h=type v; :0b];
  if[not `action in key v; :0b];
  if[`basic~v`action; :1b];
  if[`allow~v`action; :$[10h=type v`signout;granted v,(enlist`ok)!enlist not null v`user;0b]];
  if[not any `redirect`deny~\:v`action; :0b];
  if[not any type[v`status]=-6 -7h; :0b];
  $[10 10h~type each (v`headers;v`body);"\r\n"~-2#v`headers;0b]}
allowed:{[h;k;v]
  s:v`session; u:v`user;
  if[s in key ended; :later[]];
  if[(not isweb s) and s in exec session from sessions; err "HTTP: the daemon answered with the session of a handle"; :later[]];
  if[not permitted u; drop s; :unfit[u;".pm has the name with another authtype than sessiond, or for a group"]];
  if[not u~sessions[s;`user]; drop s];
  place:$[isweb s;sessions[s;`order];0N];
  if[null place; makeroom[]; place:turn[]; out "HTTP: ",shown[u]," accepted, session ",string s];
  row:(s;0Ni;u;u;v`roles;(key;value)@\:v`attributes;v`expires;1b;0b;0b;.z.p;place;0Np;0Np);
  `.sessiond.sessions upsert (cols sessions)!row;
  `.sessiond.webs upsert `session`signout`seen!(s;v`signout;.z.p);
  if[count settle u; drop s; :unfit[u;".pm would not have the name"]];
  keep[k;s;v[`expires]&.z.p+webcache&$[-16h=type v`keep;v`keep;webcache]];
  letin[h;s]}
makeroom:{[] if[not mostwebs>count webs; drop exec first session from webs where seen=min seen];}

// ---- verdicts that are kept ----
keptof:{[k]
  s:kept[k;`session];
  if[not isweb s; :0Ng];
  $[.z.p<kept[k;`until]&sessions[s;`expires];s;0Ng]}
keep:{[k;s;ends]
  if[null[k] or not ends>.z.p; :()];
  `.sessiond.kept upsert `tag`session`until!(k;s;ends);
  if[mosteach<count exec tag from kept where session=s; delete from `.sessiond.kept where session=s,until=min until];
  if[mostkept<count kept; delete from `.sessiond.kept where until=min until];}
forgetkept:{[s] if[not null s; delete from `.sessiond.kept where session=s];}

// ---- what comes of a web session ----
newsof:{[event;s;d]                                             // a push
  if[not 0i~d`handle; :out "push of a web session with a handle ignored: ",string event];
  if[not event in `revoked`expired; :goeson[s;d]];
  out "web session of ",shown[sessions[s;`user]]," ended: ",string $[null d`reason;event;d`reason];
  .sessiond.ended,:(enlist s)!enlist .z.p;
  drop s;}
socket:{[p;h]                                                   // a session for a websocket of web session p; 1b: it must be closed
  c:$[isweb p;ask(`opened;p;h);0Ng];
  child:$[-2h=type c;not null c;0b];
  if[child; child:not c in key[ended],exec session from sessions];
  if[not child and isweb p; :denied[h;c]];                      // it may have ended while we waited
  r:sessions p;
  row:(c;h;r`user;r`name;r`roles;r`attributes;r`expires;1b;1b;h in key .z.W;.z.p;r`order;0Np;0Np);
  `.sessiond.sessions upsert (cols sessions)!row;
  0b}
denied:{[h;c]
  warn "websocket on handle ",string[h]," refused: its web session is over, or the daemon is away";
  if[$[-2h=type c;not null c;0b]; tell(`disconnect;h;c)];
  1b}
signout:{[] signoutof .z.w}                                     // for a page: where its user signs out; "" where he cannot
signoutof:{[h] $[isweb s:pageof h;webs[s;`signout];""]}

takeover:{[]                                                    // at the start
  if[@[{value x;1b};`.z.ac;0b]; :out ".z.ac is this process's own and stays: it may call .sessiond.ac"];
  put[`.z.ac;ac];}

\d .
