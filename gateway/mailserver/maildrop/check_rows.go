package maildrop

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/postern-mail/postern/gateway/mailserver/account"
	"github.com/postern-mail/postern/shared/sasl"
)

// references finds rows that name what is not there.
func (c *checker) references(ctx context.Context) error {
	rows, err := c.tx.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return err
	}
	type broken struct {
		table, parent string
		row           int64
	}
	var list []broken
	for rows.Next() {
		var b broken
		var row sql.NullInt64
		var key int
		if err := rows.Scan(&b.table, &row, &b.parent, &key); err != nil {
			rows.Close()
			return err
		}
		b.row = row.Int64
		list = append(list, b)
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	for _, b := range list {
		f := Finding{Problem: DanglingRow, What: fmt.Sprintf("row %d of %s", b.row, b.table), Detail: "it names a row of " + b.parent + " that is not there"}
		switch {
		case b.parent == "contents" && (b.table == "messages" || b.table == "queue"):
			var content int64
			if err := c.tx.QueryRowContext(ctx, "SELECT content FROM "+b.table+" WHERE id = ?", b.row).Scan(&content); err != nil {
				return err
			}
			if _, there := c.found[content]; there {
				continue // found as a file whose row is to be made again
			}
			f.Detail = "its content is gone, with its file"
			f.Remedy, f.mend = "the row goes: there is nothing that it could give", exec("DELETE FROM "+b.table+" WHERE id = ?", b.row)
		case b.parent == "accounts" && b.table == "messages":
			f.Remedy = "the row goes, and its content to unclaimed/ if nobody else has it"
			f.mend = exec("DELETE FROM messages WHERE id = ?", b.row)
		case b.parent == "accounts" && (b.table == "aliases" || b.table == "catchalls"):
			f.Remedy, f.mend = "the row goes: it leads nowhere", exec("DELETE FROM "+b.table+" WHERE id = ?", b.row)
		}
		c.find(f)
	}
	return nil
}

// messages looks at the unique-ids. The unique index is not trusted: it may be
// what is wrong.
func (c *checker) messages(ctx context.Context) error {
	rows, err := c.tx.QueryContext(ctx, "SELECT id, account, content, uid FROM messages NOT INDEXED ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	type key struct {
		account int64
		uid     string
	}
	first := map[key]int64{}
	for rows.Next() {
		var id, content int64
		var k key
		if err := rows.Scan(&id, &k.account, &content, &k.uid); err != nil {
			return err
		}
		c.report.Messages++
		detail := ""
		if older, twice := first[k]; twice {
			detail = fmt.Sprintf("it has the unique-id of row %d, %s", older, k.uid)
		} else if !isUID(k.uid) {
			detail = fmt.Sprintf("%.80q is none", k.uid)
		}
		if detail == "" {
			first[k] = id
			continue
		}
		c.find(Finding{Problem: WrongUID, What: fmt.Sprintf("row %d of messages", id), Detail: detail, Remedy: "given a new one: clients fetch that message once more",
			mend: exec("UPDATE messages SET uid = ? WHERE id = ?", newUID(content), id)})
	}
	return rows.Err()
}

// queue looks at what is for other servers.
func (c *checker) queue(ctx context.Context) error {
	rows, err := c.tx.QueryContext(ctx, "SELECT id, recipient, destination, state, claim, attempts FROM queue ORDER BY id")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, claim, attempts int64
		var recipient, destination string
		var state State
		if err := rows.Scan(&id, &recipient, &destination, &state, &claim, &attempts); err != nil {
			return err
		}
		c.report.Queued++
		wrong := func(detail, remedy, statement string, args ...any) {
			c.find(Finding{Problem: WrongState, What: fmt.Sprintf("row %d of queue", id), Detail: detail, Remedy: remedy, mend: exec(statement, append(args, id)...)})
		}
		switch state {
		case Waiting, Held:
			if claim != 0 {
				wrong("it is claimed and not being sent", "the claim goes", "UPDATE queue SET claim = 0 WHERE id = ?")
			}
		case Sending:
			if claim == 0 {
				wrong("it is being sent by nobody", "held, for an administrator to decide", "UPDATE queue SET state = ? WHERE id = ?", Held)
			}
		default:
			wrong(fmt.Sprintf("%.40q is no state", state), "held, for an administrator to decide", "UPDATE queue SET state = ?, claim = 0 WHERE id = ?", Held)
		}
		if attempts < 0 {
			wrong("it was tried less than never", "counted from 0", "UPDATE queue SET attempts = 0 WHERE id = ?")
		}
		if user, domain := split(recipient); user == "" || domain == "" {
			c.find(Finding{Problem: WrongAddress, What: fmt.Sprintf("row %d of queue", id), Detail: fmt.Sprintf("%.80q is no recipient", recipient)})
		} else if want := Destination(recipient); want != destination {
			wrong(fmt.Sprintf("its destination is %.80q, and not %.80q", destination, want), "set right", "UPDATE queue SET destination = ? WHERE id = ?", want)
		}
	}
	return rows.Err()
}

// accounts looks at the accounts, their sums and what leads to them.
func (c *checker) accounts(ctx context.Context) error {
	rows, err := c.tx.QueryContext(ctx, `SELECT id, email, scram, count, octets, (SELECT count(*) FROM messages m WHERE m.account = a.id),
		(SELECT coalesce(sum(coalesce(c.size, 0) + length(CAST(m.trace AS BLOB))), 0) FROM messages m LEFT JOIN contents c ON c.id = m.content WHERE m.account = a.id)
		FROM accounts a ORDER BY id`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id, count, octets, realCount, realOctets int64
		var email, scram string
		if err := rows.Scan(&id, &email, &scram, &count, &octets, &realCount, &realOctets); err != nil {
			return err
		}
		c.report.Accounts++
		what := fmt.Sprintf("account %.80q", email)
		if user, domain := split(email); user == "" || domain == "" || account.Canonical(email) != email {
			c.find(Finding{Problem: WrongAddress, What: what, Detail: "nobody can sign in under it; rename it"})
		}
		if scram != "" {
			if _, err := sasl.ParseKeys(scram); err != nil {
				c.find(Finding{Problem: WrongKeys, What: what, Detail: err.Error(), Remedy: "removed, and made anew at the next login", mend: exec("UPDATE accounts SET scram = '' WHERE id = ?", id)})
			}
		}
		if count != realCount || octets != realOctets {
			c.find(Finding{Problem: WrongSum, What: what, Detail: fmt.Sprintf("%d messages and %d octets are written down, and %d and %d there", count, octets, realCount, realOctets), Remedy: "counted anew",
				mend: exec(`UPDATE accounts SET count = (SELECT count(*) FROM messages m WHERE m.account = accounts.id),
					octets = (SELECT coalesce(sum(coalesce(c.size, 0) + length(CAST(m.trace AS BLOB))), 0) FROM messages m LEFT JOIN contents c ON c.id = m.content WHERE m.account = accounts.id)
					WHERE id = ?`, id)})
		}
	}
	return rows.Err()
}

// sequences sees that no id is given twice: a content's is a file's name, and a
// message's the order of the scan listing.
func (c *checker) sequences(ctx context.Context) error {
	for _, table := range []string{"contents", "messages", "queue"} {
		var highest, next int64
		if err := c.tx.QueryRowContext(ctx, "SELECT coalesce(max(id), 0), coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = ?), 0) FROM "+table, table).Scan(&highest, &next); err != nil {
			return err
		}
		if highest > next {
			c.find(Finding{Problem: WrongSequence, What: table, Detail: fmt.Sprintf("the highest id is %d, and the sequence says %d", highest, next), Remedy: "set right",
				mend: func(ctx context.Context, tx *sql.Tx) error {
					if err := exec("DELETE FROM sqlite_sequence WHERE name = ?", table)(ctx, tx); err != nil {
						return err
					}
					return exec("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", table, highest)(ctx, tx)
				}})
		}
	}
	return nil
}

func split(address string) (user, domain string) {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '@' {
			return address[:i], address[i+1:]
		}
	}
	return "", ""
}
