// rows.q - an example: people see the rows of their own department, on an rdb or hdb, whether they ask a gateway or come
// themselves. Load it there after the hook (`-load .../sessiond.q .../rows.q`) and change it: the table, its column, the
// attribute, the group. The attribute is what sessiond's configuration says, for instance
//
//   [issuer.attributes]
//   department = "user_department"

\d .rows

// the departments whose rows the acting user may see. Nobody without the attribute sees any, rows of no department least
own:{[] $[count d:.sessiond.attributeof[.sessiond.actor[];`user_department];enlist`$d;0#`]}
ofmine:{[departments] departments in own[]}                      // for where clauses and functions of yours

\d .

// `select from mytrades where sym=`VOD` is then `select from trade where sym=`VOD, .rows.ofmine dept`. Give people the
// virtual table and never `trade` itself; `people` is a group of .pm (for roles alone: a function, granted to the role)
.pm.createvirtualtable[`mytrades;`trade;enlist parse ".rows.ofmine dept"]
.pm.addgroup[`people;"whoever logs in by token"]
.pm.grantaccess[`mytrades;`people;`read]

tradesof:{[name] select from trade where sym=`$name,.rows.ofmine dept}
.pm.grantfunction[`tradesof;`reader;{1b}]
