// plain.q - plain passwords: what checks them, which the hook finds out when it starts. They never leave q and never need
// the daemon.

\d .sessiond

byplain:{[user;password]                                        // never leaves q, never needs the daemon
  if[not null passwords; if[not infile[passwords;user;password]; :0b]];
  if[checks; :1b~.[before`pw;(user;password);0b]];              // as q does with -u: both must agree
  if[not null passwords; :1b];
  fallback and not live user}
whyplain:{[]
  if[(not null passwords) and not @[{read0 x;1b};passwords;0b]; :"the file in .sessiond.passwords cannot be read: ",1_string passwords];
  $[checks or not null passwords;"it is not this user's";"nothing here checks them, see .sessiond.passwords"]}

flagfile:{[]                                                    // the file of -u or -U; `-u 1` has none
  args:arguments;
  at:where {any x~/:("-u";"-U")} each args;
  files:args 1+at where at<-1+count args;
  files:files where 1<count each files;
  $[count files;hsym`$first files;`]}
// does this .z.pw check anything? It does if it refuses a name that nobody has, with a password that nobody knows
detect:{[f]
  if[earlier in `trust`ignore; :earlier~`trust];
  if[f~nothing; :0b];
  if[@[value;`.ldap.enabled;0b]; :1b];                          // a trial would ask the directory, and wait for it
  not 1b~beyondaccess[f;(`$"sessiond-trial";string first -1?0Ng)]}

\d .
