package maildrop

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	_ "modernc.org/sqlite"
)

// ErrNewer says that the index was written by a later version of this program.
var ErrNewer = errors.New("maildrop: the index is of a newer version of Postern; use that one")

// migrations bring an index from one version to the next; SQLite's
// user_version counts those that were run. Never change one that was released.
var migrations = []string{
	`CREATE TABLE accounts (
		id      INTEGER PRIMARY KEY,
		email   TEXT NOT NULL UNIQUE, -- in canonical form
		name    TEXT NOT NULL,
		hash    TEXT NOT NULL,        -- argon2id, PHC string
		created INTEGER NOT NULL      -- microseconds since 1970, as all times here
	) STRICT;

	CREATE TABLE contents (           -- one row for each file in content/
		id       INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice; the file's name
		size     INTEGER NOT NULL,
		sha256   BLOB NOT NULL,
		received INTEGER NOT NULL,
		missing  INTEGER NOT NULL DEFAULT 0 -- 1: start-up did not find the file
	) STRICT;

	CREATE TABLE messages (           -- what is in the maildrops
		id      INTEGER PRIMARY KEY AUTOINCREMENT, -- grows with time: the order of the scan listing
		account INTEGER NOT NULL REFERENCES accounts(id),
		content INTEGER NOT NULL REFERENCES contents(id),
		uid     TEXT NOT NULL,
		trace   TEXT NOT NULL,        -- header lines of the final delivery, such as Return-Path
		UNIQUE (account, uid)
	) STRICT;
	CREATE INDEX messages_content ON messages(content);

	CREATE TABLE queue (              -- what is for other servers, a row for each recipient
		id        INTEGER PRIMARY KEY AUTOINCREMENT,
		content   INTEGER NOT NULL REFERENCES contents(id),
		sender    TEXT NOT NULL,      -- reverse-path, "" is the null sender
		recipient TEXT NOT NULL,
		utf8      INTEGER NOT NULL,   -- SMTPUTF8 was asked for
		state     TEXT NOT NULL,
		attempts  INTEGER NOT NULL DEFAULT 0,
		next_try  INTEGER NOT NULL,
		created   INTEGER NOT NULL,
		problem   TEXT NOT NULL DEFAULT ''
	) STRICT;
	CREATE INDEX queue_content ON queue(content);
	CREATE INDEX queue_due ON queue(state, next_try);`,

	// What the queue needs to send mail by itself. The destination of what waits
	// already is what follows the last @: the trimming takes away from the right
	// all that is no @.
	`ALTER TABLE queue RENAME TO queue_1;
	DROP INDEX queue_content;
	DROP INDEX queue_due;
	CREATE TABLE queue (              -- what is for other servers, a row for each recipient
		id          INTEGER PRIMARY KEY AUTOINCREMENT,
		content     INTEGER NOT NULL REFERENCES contents(id),
		sender      TEXT NOT NULL,    -- reverse-path, "" is the null sender
		recipient   TEXT NOT NULL,
		destination TEXT NOT NULL,    -- the recipient's domain, as A-labels in lower case
		utf8        INTEGER NOT NULL, -- SMTPUTF8 was asked for
		ret         TEXT NOT NULL,    -- RFC 3461: RET, ENVID, NOTIFY and ORCPT
		envid       TEXT NOT NULL,
		notify      TEXT NOT NULL,
		orcpt       TEXT NOT NULL,
		state       TEXT NOT NULL,    -- waiting, held, sending
		claim       INTEGER NOT NULL DEFAULT 0, -- while it is sent: who sends it
		attempts    INTEGER NOT NULL DEFAULT 0,
		next_try    INTEGER NOT NULL,
		created     INTEGER NOT NULL,
		delay_told  INTEGER NOT NULL DEFAULT 0, -- the sender knows that it takes long
		unknown     INTEGER NOT NULL DEFAULT 0, -- attempts that the other server may have taken for all we know
		tried       INTEGER NOT NULL DEFAULT 0, -- the last attempt, and what came of it
		code        INTEGER NOT NULL DEFAULT 0,
		enhanced    TEXT NOT NULL DEFAULT '',
		problem     TEXT NOT NULL DEFAULT '',
		server      TEXT NOT NULL DEFAULT '',
		tls         TEXT NOT NULL DEFAULT '',
		own         INTEGER NOT NULL DEFAULT 0, -- it is our own finding, not another server's words
		transcript  TEXT NOT NULL DEFAULT ''
	) STRICT;
	INSERT INTO queue (id, content, sender, recipient, destination, utf8, ret, envid, notify, orcpt, state, attempts, next_try, created, problem)
		SELECT id, content, sender, recipient, lower(substr(recipient, length(rtrim(recipient, replace(recipient, '@', ''))) + 1)),
			utf8, '', '', '', '', state, attempts, next_try, created, problem FROM queue_1;
	DROP TABLE queue_1;
	CREATE INDEX queue_content ON queue(content);
	CREATE INDEX queue_due ON queue(state, next_try);
	CREATE INDEX queue_destination ON queue(state, destination, next_try);`,

	// What a household needs of its accounts. The sums are kept by triggers,
	// whatever changes the messages: a full maildrop is told at RCPT, where nobody
	// can wait for a scan of it.
	`ALTER TABLE accounts ADD COLUMN scram TEXT NOT NULL DEFAULT '';            -- SCRAM-SHA-256 keys, RFC 5803; '' until a password is seen
	ALTER TABLE accounts ADD COLUMN disabled INTEGER NOT NULL DEFAULT 0;       -- 1: nobody signs in
	ALTER TABLE accounts ADD COLUMN quota_octets INTEGER NOT NULL DEFAULT 0;   -- 0: no limit
	ALTER TABLE accounts ADD COLUMN quota_messages INTEGER NOT NULL DEFAULT 0; -- 0: no limit
	ALTER TABLE accounts ADD COLUMN octets INTEGER NOT NULL DEFAULT 0;         -- sums over messages
	ALTER TABLE accounts ADD COLUMN count INTEGER NOT NULL DEFAULT 0;
	UPDATE accounts SET
		octets = (SELECT coalesce(sum(c.size + length(CAST(m.trace AS BLOB))), 0) FROM messages m JOIN contents c ON c.id = m.content WHERE m.account = accounts.id),
		count = (SELECT count(*) FROM messages m WHERE m.account = accounts.id);
	CREATE TRIGGER messages_added AFTER INSERT ON messages BEGIN
		UPDATE accounts SET count = count + 1, octets = octets + length(CAST(new.trace AS BLOB))
			+ coalesce((SELECT size FROM contents WHERE id = new.content), 0) WHERE id = new.account;
	END;
	CREATE TRIGGER messages_removed AFTER DELETE ON messages BEGIN
		UPDATE accounts SET count = count - 1, octets = octets - length(CAST(old.trace AS BLOB))
			- coalesce((SELECT size FROM contents WHERE id = old.content), 0) WHERE id = old.account;
	END;

	CREATE TABLE aliases (            -- addresses that stand for accounts, a row for each
		id      INTEGER PRIMARY KEY,
		address TEXT NOT NULL,        -- in canonical form
		account INTEGER NOT NULL REFERENCES accounts(id),
		created INTEGER NOT NULL,
		UNIQUE (address, account)
	) STRICT;
	CREATE INDEX aliases_account ON aliases(account);
	CREATE TABLE catchalls (          -- who gets what nobody else of a domain does
		id      INTEGER PRIMARY KEY,
		domain  TEXT NOT NULL UNIQUE,
		account INTEGER NOT NULL REFERENCES accounts(id)
	) STRICT;
	CREATE TABLE secrets (            -- random octets that outlive the process
		name  TEXT PRIMARY KEY,
		value BLOB NOT NULL
	) STRICT;`,

	// Who may look after the server from a page.
	`ALTER TABLE accounts ADD COLUMN admin INTEGER NOT NULL DEFAULT 0;`,

	// What an account may keep of files, beside its mail.
	`ALTER TABLE accounts ADD COLUMN quota_files INTEGER NOT NULL DEFAULT 0; -- octets; 0: as all others, -1: no limit`,
}

// openIndex opens the index with n connections. Every commit of a writer is
// flushed to the disk (synchronous=FULL; NORMAL would flush at checkpoints
// only, and lose acknowledged mail).
func openIndex(dir string, n int, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {"immediate"}}
	for _, p := range append(pragmas, "busy_timeout(10000)", "foreign_keys(1)") {
		q.Add("_pragma", p)
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(filepath.Join(dir, "index.db")), RawQuery: q.Encode()}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// lastID is the highest id that a table has given; 0 before the first.
func lastID(ctx context.Context, db *sql.DB, table string) (id int64, err error) {
	err = db.QueryRowContext(ctx, "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = ?), 0)", table).Scan(&id)
	return id, err
}

func migrate(ctx context.Context, db *sql.DB) error {
	var version int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version > len(migrations) {
		return ErrNewer
	}
	for ; version < len(migrations); version++ {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		if _, err = tx.ExecContext(ctx, migrations[version]); err == nil {
			_, err = tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version+1))
		}
		if err != nil {
			tx.Rollback()
			return fmt.Errorf("migration %d: %w", version+1, err)
		}
		if err := tx.Commit(); err != nil {
			return err
		}
	}
	return nil
}
