// tickets.q - tokens for others. A ticket is a password for one other process, with which the user of a session here is
// let in there, under his own name; a token of a data source is for calling that source. sessiond makes the one and
// fetches the other; q keeps neither. What fails is a q error that begins with `sessiond: `, ends with the reason, and
// holds no token. Examples: asuser.q, quotes.q.

\d .sessiond

patience:5000                                                   // milliseconds that .sessiond.hopen waits, where it is not told

// ---- what the daemon is asked for ----
worded:{[what;x] $[10h=type x;x;-10h=type x;enlist x;-11h=type x;string x;'"sessiond: ",what," must be a symbol or a string"]}
issued:{[call;member;for]                                       // the text that it answers with
  r:answer call;
  if[(not first r) and 0<count r 1; 'r 1];
  why:$[first r;whynot[member;r 1];`unavailable];
  if[not null why; '"sessiond: no ",for,": ",string why];
  r[1] member}
whynot:{[member;r]                                              // why there is none; ` = there is one. An answer is whole or it is none
  if[not 99h=type r; :`unavailable];
  if[not all (`ok`reason,member) in key r; :`unavailable];
  if[not (-11h=type r`reason) and 10h=type r member; :`unavailable];
  if[1b~r`ok; :$[count r member;`;`unavailable]];
  $[null r`reason;`unavailable;r`reason]}
forwhom:{[h;for]                                                // the session on a handle
  if[not any type[h]=-6 -7h; '"sessiond: a handle must be an int, such as .z.w"];
  s:holder `int$h;
  if[not s in exec session from sessions; '"sessiond: no ",for,": nosession"];
  mine:holder .z.w;                                             // somebody who may call these functions asks for himself alone
  if[(not null mine) and not s~mine; '"sessiond: no ",for,": notallowed"];
  s}

ticket:{[h;audience]                                            // audience: the other process, as it says hello; NAME@HOST elsewhere
  name:worded["an audience";audience];
  for:"ticket for ",showntext name;
  s:forwhom[h;for];
  issued[(`ticket;`session`audience!(s;name));`ticket;for]}
token:{[source]                                                 // by the name of its [[source]]
  name:worded["a source";source];
  issued[(`token;(enlist`name)!enlist name);`token;"token of ",showntext name]}
tokenof:{[h;source]                                             // on behalf of the user on a handle
  name:worded["a source";source];
  for:"token of ",showntext name;
  s:forwhom[h;for];
  issued[(`token;`name`session!(name;s));`token;for]}

// ---- addresses ----
bare:{[address]                                                 // as text, without its first colon
  text:$[any type[address]=-6 -7h;"::",string address;-11h=type address;string address;10h=type address;address;""];
  $[":"~first text;1_text;text]}
place:{[text]                                                   // (scheme; host; port) of such a text; () = no process's, or with a user
  parts:"://" vs text;
  scheme:$[2=count parts;lower first parts;1=count parts;"tcp";""];
  if[not any scheme~/:("tcp";"tcps";"unix";"unixs"); :()];
  parts:":" vs last parts;
  if[not count[parts]=$[scheme like "tcp*";2;1]; :()];
  port:last parts;
  if[(0=count port) or not all port in .Q.n; :()];
  (scheme;$[2=count parts;first parts;""];port)}
here:{[host]                                                    // is that this machine, as far as its name tells
  own:lower string .z.h;
  any lower[host]~/:("";"localhost";"127.0.0.1";own;(own?".")#own)}
spot:{[p] ($[here p 1;"";lower p 1];p 2)}                       // the same for all addresses of a process
areplaces:{[x]
  if[not 99h=type x; :0b];
  if[not 11 11h~type each (key x;value x); :0b];
  not any ()~/:place each bare each key x}

// What is the process at an address called? Nobody asks the other end: a ticket is good at the one process that it
// names, which protects nothing where whoever is reached may say the name.
listed:{[p;addresses;names]
  if[0=count addresses; :()];
  fit:{[s;a] p:place bare a; $[count p;s~spot p;0b]}[spot p] each addresses;
  string distinct (names where fit) except `}
called:{[p]                                                     // its names; one, or nobody knows
  if[count n:listed[p;key audiences;value audiences]; :n];
  has:{[p;t] t:@[value;t;()]; $[98h=type t;listed[p;t`hpup;t`procname];()]}[p];
  n:distinct raze has each `.servers.SERVERS`.servers.procstab;   // TorQ: what it connects to, and its process.csv
  $[here p 1;n;n,\:"@",p 1]}

// ---- opening a handle as the user of another ----
takestext:{[K;k] not (K within 2 3.5) or k<2017.09.26}          // does hopen of such a q take a string
dial:{[address;timeout] hopen(address;timeout)}                 // a string: a symbol would be kept for ever
eights:{[text] $[8>n:count text;();text til[8]+/:til n-7]}
withheld:{[secret;text]                                         // the text of an error, unless it holds something of what is secret
  if[any eights[text] in eights secret; :"the text of the error holds what is secret, and is not shown"];
  (100&count text)#text}
.sessiond.hopen:{[h;address]                                    // as hopen takes it, but for user and password; gives the handle
  if[not takestext[.z.K;.z.k]; '"sessiond: .sessiond.hopen needs kdb+ 3.6 of 2017.09.26: an older one keeps each ticket as a symbol"];
  pair:$[any type[address]=0 6 7h;2=count address;0b];
  text:bare $[pair;first address;address];
  p:place text;
  if[0=count p; '"sessiond: no handle: the address must be as hopen takes it, without user and password, such as `:rdbhost:5010 or `:unix://5010"];
  for:"handle to :",text;
  s:forwhom[h;for];
  user:string sessions[s;`user];
  if[":" in user; '"sessiond: no ",for,": the user's name has a colon in it"];
  names:called p;
  if[1<count names; '"sessiond: no ",for,": it has more than one name (",(", " sv names),"): set .sessiond.audiences"];
  if[0=count names; '"sessiond: no ",for,": nobody says what the process there is called: set .sessiond.audiences"];
  t:ticket[h;first names];
  r:.[dial;(":",text,":",user,":",t;$[pair;last address;patience]);{[t;for;e] '"sessiond: no ",for,": ",withheld[t;e]}[t;for]];
  client r; turned r; gone each on r;                           // what was on a handle of this number went by q's own hclose
  r}

\d .
