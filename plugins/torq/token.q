// token.q - what a password is, and q's own -u password files. Pure: no handle, no state, no symbol made from input.
// The rule for tokens is the daemon's (sessiond/core/password.py, read_password); tests/vectors/passwords.csv is run
// against both. No JSON is parsed here: .j.k would turn an attacker's keys into symbols, which q never frees.

\d .sessiond

url64:.Q.A,.Q.a,.Q.n,"-_";                                      // base64url, in order of value (RFC 4648, 5)
b64token:url64,".~+/";                                          // an access token's alphabet (RFC 6750, 2.1)
maxpassword:32768;                                              // bytes

starts:{[prefix;text] prefix~(count prefix)#text,count[prefix]#" "}
blank:{[text] text in " \t\r\n"}
holds:{[word;text]                                              // `ss` would read ? * [ in an attacker's text as a pattern
  if[count[text]<count word; :0b];
  any all word=text(til count word)+\:til 1+count[text]-count word}

// the bytes of a base64url part as text; bits beyond the last whole byte do not count
decoded:{[part]
  sixes:flip 4 cut(url64?part),((neg count part) mod 4)#0;
  bytes:flip((4*sixes 0)+sixes[1] div 16;(16*sixes[1] mod 16)+sixes[2] div 4;(64*sixes[2] mod 4)+sixes 3);
  ((3*count part) div 4)#"c"$raze bytes}

isheader:{[part]                                                // of a JWT: letters of base64url that begin with eyJ
  if[1=(count part) mod 4; :0b];
  header:header where not blank header:decoded part;
  if[0=count header; :0b];
  ("}"=last header) and holds["\"alg\":";header]}

isjwt:{[text]
  if[not starts["eyJ";text]; :0b];
  if[not 2=sum text="."; :0b];
  parts:"." vs text;
  if[any 0=count each parts; :0b];
  if[not all raze[parts] in url64; :0b];
  isheader first parts}

isaccess:{[text]
  body:(neg(reverse[text]="=")?0b)_text;
  (0<count body) and all body in b64token}

ispair:{[text]
  at:text?";";
  if[at=count text; :0b];
  access:at#text; refresh:(1+at)_text;
  if[20>count[access]&count refresh; :0b];
  isaccess[access] and all refresh within "!~"}

// ---- almost a token: meant to be one, so nobody else may see it (is_almost_token) ----
trimmed:{[text]                                                 // without blanks and quotes around it
  inner:where not (blank text) or text in "\"'`";
  $[count inner;text first[inner]+til 1+last[inner]-first inner;""]}
holdsjwt:{[text]                                                // blanks apart: from the first eyJ on the header of a JWT
  text:text where not blank text;
  if[5>count text; :0b];
  at:(("e"=-2_text)&("y"=1_-1_text)&"J"=2_text)?1b;
  if[at=count[text]-2; :0b];
  text:at _ text;
  end:(text in url64)?0b;
  if[end=count text; :0b];
  ("."=text end) and isheader end#text}
isalmost:{[text]
  if[holdsjwt text; :1b];
  bare:trimmed text;
  if[not starts["bearer";lower 6#bare] and any(":"=bare 6;blank bare 6); :ispair bare];
  rest:trimmed 7_bare;
  ((20<=count rest) and isaccess rest) or ispair rest}

// `token, `toolarge (a token nobody reads), `almost or `plain
kind:{[password]
  if[not 10h=type password; :`plain];
  if[not any(starts["bearer:"];starts["ticket:"];isjwt;ispair)@\:password; :$[isalmost password;`almost;`plain]];
  $[maxpassword<count password;`toolarge;`token]}

hex:{[bytes] n:"i"$bytes; "0123456789abcdef" raze flip(n div 16;n mod 16)}
ishex:{[text] all lower[text] in "0123456789abcdef"}

// does a password fit an entry of a -u file? 32 hex digits are an md5, 40 a sha1, and never plain text: else whoever
// reads the file could log in with the digest itself. An empty entry fits nothing.
fits:{[stored;password]
  if[0=count stored; :0b];
  if[(32=count stored) and ishex stored; :lower[stored]~hex md5 password];
  if[(40=count stored) and ishex stored; :lower[stored]~hex -33!password];
  stored~password}

// is user:password in the file? Read anew each time, so that an edit counts at once. Unreadable: nobody is.
infile:{[file;user;password]
  lines:@[read0;file;{[e]()}];
  if[0=count lines; :0b];
  lines:lines where {":" in x} each lines;
  if[0=count lines; :0b];
  at:lines?\:":";
  mine:where string[user]~/:at#'lines;
  if[0=count mine; :0b];
  .[fits;((1+at first mine)_lines first mine;password);0b]}

\d .
