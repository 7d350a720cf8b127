// verify.q - does this kdb+ do what the hook relies on? For owners of a licence: the project itself has none.
//
//   q verify.q                                                  what one q shows, with a second q that it starts
//   q verify.q -daemon 5099 -proofkey /etc/sessiond/proof       and what a running sessiond shows ($QUDSPATH as usual)
//
// It takes some seconds, prints a line for each point (ok, FAIL, note or skip), under each FAIL what follows from it and
// what to do, and ends with the number of FAILs as its exit code. Send no real password or token to it: it prints none,
// but it accepts everybody on a random port.

options:.Q.opt .z.x
role:$[`role in key options;first options`role;"server"]

say:{[verdict;point;seen] -1 (6$verdict),point,$[count seen;" (",seen,")";""]; if[verdict~"FAIL"; .verify.fails+:1];}
check:{[point;truth;seen]
  say[$[1b~truth;"ok";"FAIL"];point;$[10h=type seen;seen;-3!seen]];
  if[not 1b~truth; -1 "       ",advice point];}
advice:{[point]
  told:where point~/:first each todo;
  $[count told;last todo first told;"the hook relies on it: do not use it here, and report this line with the first one"]}
todo:2 cut (
  "an undefined .z.pw has no value"; "set .sessiond.earlier:`ignore, else that default counts as a check of passwords";
  "-33! is sha1"; "set .sessiond.proof:0b, and read in README.md who could then stand in the daemon's place";
  "the proof of an example key"; "set .sessiond.proof:0b, and read in README.md who could then stand in the daemon's place";
  "the value of a lambda tells its file"; "set .sessiond.directory to where sessiond.q is before you load it";
  "a password of 6000 bytes reaches .z.pw"; "longer tokens are cut or refused by q: have the issuer make them smaller (fewer groups)";
  "hopen takes a string, and the password in it whole"; "do not use .sessiond.hopen: tickets would be cut, and refused there. Report this line";
  "no error of hopen shows the password"; "nothing to do: .sessiond.hopen hides such a text; see that your own code logs none";
  "a list of strings is looked for in a list of strings"; "do not use .sessiond.hopen: an error might show the ticket. Report this line";
  "a name with dots may end with a keyword, which stays what it is"; "do not use .sessiond.hopen, and report this line with the first one";
  ".z.W lists websockets"; "nothing to do, but one that q code closes itself is noticed by nobody: call .z.wc then";
  "hopen `:unix:// reaches a q"; "see $QUDSPATH: it must be the same for q and for sessiond";
  "-u of the command line is in .z.X"; "set .sessiond.passwords: the hook does not see the file of -u by itself";
  "-38! tells it from that of a client"; "nothing to do: the hook goes without this second look at its handle";
  "-38! says the same of it later"; "the hook would drop its own handle again and again: report it, with the first line";
  "the headers of .z.ph are a dictionary, symbols to strings"; "TorQ's usage log may hold the tokens of HTTP logins: set .usage.LEVEL:0 or let nobody log in by HTTP";
  "the headers of .z.pp are a dictionary, symbols to strings"; "as of .z.ph: no POST with a token";
  "an HTTP login by name and password is .z.pw's"; "tokens by HTTP do not work here: use IPC or websockets";
  "(`f;::) is a mixed list in .z.ps"; "two lines a second in TorQ's usage log: set .timer.logcall:0b";
  ".z.w is 0 in the timer"; "with .pm or .access on the timer is refused: set .timer.logcall:0b";
  "a projection is found by key, as gateway.q asks"; "TorQ's gateway would run queries without the user: do not set .sessiond.backend, and report this line";
  ".z.u is the caller's in what his call calls"; "do not set .sessiond.backend: who acts for whom cannot be told. Report this line";
  "an undefined .z.ac has no value"; "with .sessiond.web the hook would take it for your own and not set it: set .z.ac:.sessiond.ac yourself after loading the hook";
  ".z.ac is asked for a GET, with headers, symbols to strings"; "do not set .sessiond.web, and report this line with the first one";
  ".z.ac is asked for a POST"; "do not set .sessiond.web: whoever sends a POST would not be asked who he is. Report this line";
  ".z.ac is asked for a websocket"; "do not set .sessiond.web, or no .z.ws: whoever opens a websocket would not be asked who he is. Report this line";
  ".z.w in .z.ac is that of the page"; "do not set .sessiond.web: .sessiond.who could tell of another. Report this line";
  ".z.w in .z.ac is the handle of .z.wo"; "do not set .sessiond.web: websockets would have no session. Report this line";
  ".z.u in the page is the name that .z.ac gave"; "do not set .sessiond.web: rights would be another's. Report this line";
  ".z.u in .z.wo is the name that .z.ac gave"; "do not set .sessiond.web, or no .z.ws: rights would be another's. Report this line";
  "(4;\"\") of .z.ac has .z.pw judge a password"; "do not set .sessiond.web: passwords by HTTP would be refused, or taken unseen. Report this line";
  "null is before every time"; "renewals are refused: report it, with the first line";
  "a second q logs in within ten seconds"; "start verify.q with the q that you use, where it may listen on a port of this machine";
  "the points that need a second q"; "the error ended them, so what comes after is not known: mend the FAILs above first";
  "the points of HTTP"; "the error ended them: do not set .sessiond.web until they are seen. Report this line";
  "hopen `:unix:// reaches sessiond"; "see that it runs, that $QUDSPATH and the port are the daemon's, and that it lets this user in (sessionctl doctor)";
  "hello is answered"; "something else than sessiond may listen there: see sessionctl doctor";
  "the proof key can be read"; "give the daemon's proof_key_file; q's user must be in its group (then log in anew)";
  "sessiond proves itself"; "another key, port or $QUDSPATH than the daemon's; if all are the same, somebody else listens: see ss -xlp")
.verify.fails:0

\d .verify
.verify.count:{[x] 42}                                          // as .sessiond.hopen
sized:{[x] count x}
\d .

// ---- the second q: logs in to the first in several ways, and plays a daemon ----
secondpw:{[u;p] 1b}
basic:"authorization: Basic d2ViOmJlYXJlcjphYmM=\r\n"                // web, and bearer:abc
http:{[port;request] @[{[url;text] url text}[`$":http://localhost:",port];request;{[e] e}]}
secondpg:{[x] $[x~"errors";.verify.errors;x~`again;[.verify.again:dial[first options`port;"again";"pw"];7];x~`push;[neg[.z.w](`.verify.push;42);7];x~`flags;.z.X;value x]}
dial:{[port;user;password] @[hopen;(`$":localhost:",port,":",user,":",password;2000);{[e] e}]}
dialtext:{[port;user;password] @[hopen;(":localhost:",port,":",user,":",password;2000);{[e] e}]}   // a string
second:{[]
  port:first options`port;
  system "p 0W";
  .z.pw:secondpw; .z.pg:secondpg; .z.ws:{[x] x};
  .verify.kept:dial[port;"plain";"pw"];
  .verify.big:dial[port;"big";6000#"x"];
  dial[port;"refused";"pw"];
  .verify.text:dialtext[port;"text";"ticket:",5993#"x"];
  .verify.errors:(dialtext[port;"refusedtext";"swordfish"];dialtext["1";"nobody";"swordfish"]);
  .verify.closed:dial[port;"closeme";"pw"];
  .verify.web:http[port] each ("GET /?1 HTTP/1.0\r\n",basic,"\r\n";"POST / HTTP/1.0\r\n",basic,"content-length: 3\r\n\r\na=1";
    "GET /?2 HTTP/1.0\r\nauthorization: Bearer abc\r\n\r\n");
  .verify.browser:@[{[url] first url "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"};`$":ws://socket:pw@localhost:",port;{[e] e}];
  neg[.verify.kept](`.verify.ready;system "p");
  neg[.verify.kept][];
  .z.pc:{[h] exit 0};
  system "t 30000"; .z.ts:{exit 1};}

// Again by HTTP, when the first q has a .z.ac: a page, a POST, an absolute address, a password, a websocket; and two
// requests on one connection, by bash, since q cannot
keepsalive:{[port]
  one:"printf 'GET /raw HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n' >&3; sleep 0.5; ";
  talk:"exec 3<>/dev/tcp/127.0.0.1/",port,"; ",one,one,"timeout 1 cat <&3";
  @[{[command] "J"$first system command};"timeout 5 bash -c \"",talk,"\" 2>/dev/null | grep -c '^HTTP/1.1'; true";{[e] 0N}]}
secondweb:{[]
  port:first options`port;
  asking:{[port;line;more] http[port;line," HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",more]}[port];
  asking["GET /page?1";"X-Odd-Case: a\r\nx-odd-case: b\r\n\r\n"];
  asking["POST /post";"content-length: 3\r\n\r\na=1"];
  asking["GET http://localhost:",port,"/absolute";"\r\n"];
  asking["GET /basic";basic,"\r\n"];
  .verify.browser:@[{[url] first url "GET /socket HTTP/1.1\r\nHost: localhost\r\n\r\n"};`$":ws://localhost:",port;{[e] e}];
  neg[.verify.kept](`.verify.webbed;keepsalive port);
  neg[.verify.kept][];}

// ---- the first q ----
.verify.logins:([] user:0#`; kind:0#0h; w:0#0Ni; size:0#0N)
.verify.opened:([] user:0#`; h:0#0Ni; w:0#0Ni; listed:0#0b)
.verify.sockets:0#0b                                            // of each websocket, as it opens: is it in .z.W
.verify.got:.verify.posted:.verify.zero:()                      // what .z.ph, .z.pp and .z.ps were given
.verify.timer:0#0Ni                                             // .z.w in the timer
.verify.link:.verify.freed:0Ni                                   // to the second q; and the number of one before
.verify.left:0#0Ni
.verify.pushes:()
.verify.push:{[x] .verify.pushes,:enlist(x;.z.u;.z.w);}
.verify.port:0N
.verify.shut:0Ni
.verify.me:{[x] .z.u}
.verify.asked:`
.verify.ready:{[port] .verify.asked:value({[x] value(`.verify.me;x)};1); .verify.port:port;}

watch:{[]
  .z.pw:{[u;p] `.verify.logins insert ($[10h=type u;`$u;u];type u;.z.w;count p); not string[u] like "refused*"};
  .z.po:{[h] `.verify.opened insert (.z.u;`int$h;.z.w;h in key .z.W);};
  .z.ws:{[x] x};
  .z.wo:{[h] .verify.sockets,:h in key .z.W;};
  .z.ph:{[x] .verify.got,:enlist x; .h.hy[`txt;"ok"]};
  .z.pp:{[x] .verify.posted,:enlist x; .h.hy[`txt;"ok"]};
  .z.pc:{[h] .verify.left,:`int$h;};}
// what .z.ac was given (text; headers; .z.w; .z.u; .z.a), and what the page and .z.wo after it (text or handle; .z.w; .z.u)
.verify.acs:.verify.pages:.verify.wos:()
.verify.alive:0N                                                // answers on one connection
.verify.heard:0b
.verify.webbed:{[alive] .verify.alive:alive; .verify.heard:1b;}
acseen:{[x]
  .verify.acs,:enlist (first x;last x;`int$.z.w;.z.u;.z.a);
  $[first[x] like "raw*";(2;"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");first[x] like "basic*";(4;"");(1;"somebody")]}
watchweb:{[]                                                    // from here on there is a .z.ac
  .verify.before:exec count i from .verify.logins where user=`web;
  .z.ph:.z.pp:{[x] .verify.pages,:enlist (first x;`int$.z.w;.z.u); .h.hy[`txt;"ok"]};
  .z.wo:{[h] .verify.wos,:enlist (`int$h;`int$.z.w;.z.u);};
  .z.ac:acseen;
  other:exec first w from .verify.opened where user=`plain;
  neg[other](`secondweb;::); neg[other][];}
acof:{[word] .verify.acs where {[word;a] a[0] like "*",word,"*"}[word] each .verify.acs}
webac:{[]
  if[(.z.K within 2 3.9) or .z.k<2021.07.12; :say["skip";".z.ac";"(4;\"\") needs kdb+ 4.0 of 2021.07.12: .sessiond.web is refused at load"]];
  if[not .verify.heard; :say["skip";".z.ac";"the second q did not come to its end"]];
  if[0=count .verify.acs; :say["skip";".z.ac";"no request arrived"]];
  page:acof"page";
  check[".z.ac is asked for a GET, with headers, symbols to strings";$[count page;headed 2#first page;0b];page];
  check[".z.ac is asked for a POST";0<count acof"post";first each .verify.acs];
  say["note";"the request text that .z.ac has of a GET, a POST, an absolute address";-3!first each page,(acof"post"),acof"absolute"];
  say["note";"names of headers, as .z.ac has them, of which one came twice";-3!$[count page;key page[0;1];()]];
  say["note";".z.u and .z.a in .z.ac";-3!distinct 3_/:.verify.acs];
  if[count .verify.pages;
    check[".z.w in .z.ac is that of the page";any page[;2]=.verify.pages[0;1];(.verify.acs[;2];.verify.pages[;1])];
    check[".z.u in the page is the name that .z.ac gave";all `somebody=last each .verify.pages where not .verify.pages[;0] like "basic*";last each .verify.pages]];
  check["(4;\"\") of .z.ac has .z.pw judge a password";(count acof"basic")<=(exec count i from .verify.logins where user=`web)-.verify.before;.verify.before];
  $[0=count .verify.wos;
    say["skip";".z.ac and websockets";"the second q opened none"];
    [socket:.verify.acs where {[a] $[99h=type a 1;`upgrade in lower key a 1;0b]} each .verify.acs;
      check[".z.ac is asked for a websocket";0<count socket;first each .verify.acs];
      check[".z.w in .z.ac is the handle of .z.wo";any .verify.wos[0;0]=socket[;2];(socket[;2];.verify.wos)];
      check[".z.u in .z.wo is the name that .z.ac gave";`somebody~last first .verify.wos;.verify.wos]]];
  say["note";"answers on one connection after (2;response)";-3!.verify.alive];
  say["note";".z.pc is called for connections of HTTP";-3!any .verify.left in .verify.acs[;2]];}
handleof:{[u] exec first w from .verify.opened where user=u}

headed:{[x] $[99h=type h:last x;(11h=type key h) and all 10h=type each value h;0b]}
web:{[]                                                         // HTTP: what .z.pw, .z.ph and .z.pp are given
  l:select from .verify.logins where user=`web;
  if[0=count .verify.got,.verify.posted; :say["skip";"HTTP logins";"the second q reached none"]];
  check["the headers of .z.ph are a dictionary, symbols to strings";all headed each .verify.got;$[count .verify.got;type each first .verify.got;()]];
  $[count .verify.posted;
    check["the headers of .z.pp are a dictionary, symbols to strings";all headed each .verify.posted;type each first .verify.posted];
    say["skip";"the headers of .z.pp";"no POST arrived"]];
  if[all headed each .verify.got; say["note";"names of headers, as .z.ph has them";-3!distinct raze {key last x} each .verify.got]];
  check["an HTTP login by name and password is .z.pw's";(0<count l) and all 10=l`size;l`size];
  n:exec count i from .verify.logins where not user in `plain`big`text`refused`refusedtext`closeme`socket`again`web;
  say["note";"`Authorization: Bearer` runs .z.pw ",string[n]," times";"the name is ",-3!exec distinct user from .verify.logins where not user in `plain`big`text`refused`refusedtext`closeme`socket`again`web];}

zero:{[x]                                                       // what TorQ's timer does: a call through handle 0
  .z.ps:{[x] .verify.zero,:enlist(type x;.z.w); value x};
  .verify.nop:{[x] x};
  @[{0 x};(`.verify.nop;::);::]; @[{0 x};(`.verify.nop;`);::];
  system "x .z.ps";
  $[count .verify.zero;
    [check["(`f;::) is a mixed list in .z.ps";0h=first first .verify.zero;.verify.zero];
      say["note";"(`f;`) is of type ",(-3!first last .verify.zero)," there";"TorQ's usage log passes its ignored names in mixed lists only"]];
    say["note";"handle 0 does not call .z.ps";"TorQ's timer is in no usage log then"]];}

alone:{[]                                                       // points that need no second process
  say["note";"kdb+ ",string[.z.K]," of ",string .z.k;string .z.o];
  check["an undefined .z.pw has no value";@[{value x;0b};`.z.pw;{[e]1b}];""];
  check["an undefined .z.ac has no value";@[{value x;0b};`.z.ac;{[e]1b}];""];
  check["-33! is sha1";(`byte$0xa9993e364706816aba3e25717850c26c9cd0d89d)~@[{-33!x};"abc";()];"needs 4.0 of 2020.03.17"];
  check["the proof of an example key";
    0x479128e3fd492a5d74970885fa4aa0508f15e465~@[{-33!"key","c"$-33!"key","sessiond:/tmp/kx.5099:nonce"};0;()];""];
  own:first -3#value {};
  check["the value of a lambda tells its file";$[10h=type own;0<count own;0b];own];
  check["-1?0Ng differs from call to call";not (-1?0Ng)~-1?0Ng;""];
  check["null is before every time";not (.z.p<0Np) or .z.p<0Np+0D01:00;""];
  zero[];
  elsewhere[];
  check["a list of strings is looked for in a list of strings";(01b;enlist 1b)~(("ab";"cd") in ("cd";"ef");(enlist"ab") in ("ab";"cd"));""];
  check["a name with dots may end with a keyword, which stays what it is";3=.verify.sized 1 2 3;""];
  say["note";"TLS of this q, for https";@[{-3!(-26!)x};::;{[e] e}]];
  check["a dictionary keeps where on its keys";(enlist`b)~where `a`b!01b;""];
  check["a dot amend reaches into a keyed table";
    3={[k] .verify.t:([k:1#k] v:1#1); .[`.verify.t;(k;`v);:;3]; .verify.t[k;`v]} first -1?0Ng;""];}

// what the hook needs on an rdb behind a gateway. The bytes are the daemon's, of one person and of two without attributes
one:-9!0x010200006e0000006200630b000400000075736572006e616d6500726f6c65730061747472696275746573000000040000000b0001000000616c000b0001000000616c000000010000000b00010000007200000001000000630b000100000064000000010000000a000100000078
two:-9!0x01020000800000006200630b000400000075736572006e616d6500726f6c65730061747472696275746573000000040000000b0002000000616c00626f000b0002000000616c00626f000000020000000b00000000000b000200000072007300000002000000630b0000000000000000000000630b0000000000000000000000
elsewhere:{[]
  check["who logged in elsewhere arrives as the daemon sends it: one";(enlist`al)~one`user;one];
  check["a list of one list of roles stays one";(enlist enlist`r)~one`roles;one`roles];
  check["attributes are a dictionary of strings";((enlist`d)!enlist enlist"x")~one[`attributes] 0;one`attributes];
  check["lists of roles stay lists, none among them";(0#`;`r`s)~two`roles;two`roles];
  say["note";"two empty dictionaries arrive as type ",string type two`attributes;""];
  .verify.around:{[f;x] f x}[{[x] x+1}];
  check["a projection is found by key, as gateway.q asks";`.verify.around~key`.verify.around;key`.verify.around];
  .verify.state:0;
  r:@[{[x] was:.verify.state; .verify.state:x; r:@[{(1b;'x)};"text of it";{[e] (0b;e)}]; .verify.state:was; 'r 1};7;{[e] e}];
  check["an error that is trapped and signalled again keeps its text, and what was set is set back";("text of it"~r) and 0=.verify.state;r];
  .verify.own:{[x] x in `a`b};
  t:([] d:`a`c; n:1 2);
  check["a where clause may call a function by name, as that of a virtual table";1=count ?[t;enlist parse".verify.own d";0b;()];""];
  may:@[{reval(x;1)};{[x] .verify.state:x; "it may set"};{[e] e}];
  say["note";"within reval a function that sets a global";-3!may];}

together:{[]                                                    // points that the second process has shown by now
  l:select from .verify.logins where user=`plain;
  o:select from .verify.opened where user=`plain;
  check[".z.w inside .z.pw is the handle of .z.po";(l[`w]~o`h) and not 0i in l`w;(l`w;o`h)];
  check["the user in .z.pw is a symbol";all -11h=l`kind;l`kind];
  check[".z.w inside .z.po is its argument";o[`h]~o`w;(o`h;o`w)];
  check["a password of 6000 bytes reaches .z.pw";6000~exec first size from .verify.logins where user=`big;
    exec first size from .verify.logins where user=`big];
  check["hopen takes a string, and the password in it whole";6000~exec first size from .verify.logins where user=`text;
    exec first size from .verify.logins where user=`text];
  n:exec count i from .verify.logins where user=`refused;
  web[];
  check[".z.w is 0 in the timer";all 0i=.verify.timer;distinct .verify.timer];
  say["note";"a refused login runs .z.pw ",string[n]," times";"kdb+ tries its handshake twice"];
  check[".z.W lists the handles of clients, in .z.po already";first[o`listed] and handleof[`plain] in key .z.W;""];
  $[count .verify.sockets;
    check[".z.W lists websockets";all .verify.sockets;"if not, one that q code closes itself is noticed by nobody"];
    say["skip";".z.W lists websockets";"the second q opened none"]];
  h:@[hopen;(`$":unix://",string .verify.port;2000);{[e] e}];
  check["hopen `:unix:// reaches a q";not 10h=type h;h];
  if[10h=type h; h:hopen(`$":localhost:",string .verify.port;2000)];
  check["a sync call returns";7~h`push;""];
  check["a push that comes before the answer is handled while the call waits";1=count .verify.pushes;.verify.pushes];
  check[".z.u of a push on a handle that we opened is null";null .verify.pushes[0;1];.verify.pushes[0;1]];
  check[".z.w of a push is the handle that we opened";h=.verify.pushes[0;2];(h;.verify.pushes[0;2])];
  check[".z.u is the caller's in what his call calls";`plain~.verify.asked;.verify.asked];
  said:h"errors";
  check["no error of hopen shows the password";not any {[e] $[10h=type e;e like "*swordfish*";0b]} each said;"see the next line"];
  say["note";"what hopen says where it is refused, and where nobody listens";ssr[-3!said;"swordfish";"***"]];
  check["-u of the command line is in .z.X";any {x~"-u"} each h`flags;""];
  first38:@[{-38!x};h;{[e] e}];
  say["note";"-38! of a handle that q opened";-3!first38];
  if[not 10h=type first38; check["-38! tells it from that of a client";not first38~@[{-38!x};handleof`plain;{[e] e}];
    "the hook does not take a TCP handle for the daemon's"]];
  check["-38! says the same of it later";first38~@[{-38!x};h;{[e] e}];""];
  .verify.link:hopen(`$":localhost:",string .verify.port;2000);
  hclose h;
  check["a handle is not in .z.W once it is closed";not h in key .z.W;""];
  .verify.freed:h;
  neg[.verify.link](`secondpg;`again); neg[.verify.link][];        // it logs in anew, and gets the number
  .verify.shut:handleof`closeme;
  hclose .verify.shut;}

later:{[]                                                       // after a turn of the main loop
  again:(exec w from .verify.logins where user=`again),exec h from .verify.opened where user=`again;
  $[.verify.freed in again;
    check["a client that gets the number of a closed handle has it as .z.w in .z.pw, and in .z.po";1=count distinct again;again];
    say["note";"the number of a closed handle was not given to the next client";-3!(.verify.freed;again)]];
  @[hclose;.verify.link;::];
  check["hclose does not call .z.pc";not .verify.shut in .verify.left;.verify.left];
  webac[];
  daemon[];
  -1 "";
  say["note";string[.verify.fails]," points FAILED";""];
  exit .verify.fails}

daemon:{[]
  if[not `daemon in key options; :say["skip";"sessiond itself";"give -daemon PORT"]];
  port:first options`daemon;
  h:@[hopen;(`$":unix://",port,":verify:hook";2000);{[e] e}];
  check["hopen `:unix:// reaches sessiond";-6h=type h;h];
  if[not -6h=type h; :()];
  n:(string first -1?0Ng),string .z.p;
  r:@[{[h;n] h(`hello;`name`type`host`pid`nonce!(`verify;`q;.z.h;.z.i;n))}[h];n;{[e] e}];
  check["hello is answered";99h=type r;$[10h=type r;r;""]];
  if[not 99h=type r; :()];
  if[not `proofkey in key options; :say["skip";"the proof";"give -proofkey FILE"]];
  k:@[{first read0 x};hsym`$first options`proofkey;{[e] ""}];
  check["the proof key can be read";31<count k;$[31<count k;"";"it cannot, or is shorter than 32 characters"]];
  if[32>count k; :()];
  d:$[count d:getenv`QUDSPATH;d;"/tmp"];
  check["sessiond proves itself";r[`proof]~-33!k,"c"$-33!k,"sessiond:",d,"/kx.",port,":",n;""];
  check["reconcile is answered";type[h(`reconcile;0#0Ni;0#0Ng)] in 0 6h;""];
  check["a ping is answered";(::)~h"";""];
  hclose h;}

main:{[]
  alone[];
  watch[];
  system "p 0W";
  system (.z.X 0)," ",string[.z.f]," -u 1 -role second -port ",string[system "p"]," </dev/null >/dev/null 2>&1 &";
  .verify.turns:0;
  .z.ts:{[x]
    .verify.turns+:1;
    .verify.timer,:`int$.z.w;
    if[(.verify.turns=100) and null .verify.done; check["a second q logs in within ten seconds";0b;"it did not"]; exit .verify.fails];
    if[(not null .verify.port) and null .verify.done; .verify.done:.verify.turns; @[together;::;{[e] check["the points that need a second q";0b;e]}]; @[watchweb;::;{[e] check["the points of HTTP";0b;e]}]];
    waited:.verify.turns-.verify.done;                          // null until then
    if[$[.verify.heard;waited>2;waited>70]; later[]];};
  .verify.done:0N;
  system "t 100";}

$[role~"second";second[];main[]]
