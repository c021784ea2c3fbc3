-- Writes after each of which every table must hold on PostgreSQL what it holds in SQLite.
-- params ["d"]
INSERT INTO t (name) VALUES (?);
-- params ["e", 5, true]
INSERT INTO t (name,qty,flag) VALUES (?,?,?);
-- params ["f", "7", "8.5"]
INSERT INTO t (name,qty,price) VALUES (?,?,?);
-- params ["g", 4.0, 3, 2.5]
INSERT INTO t (name,qty,price,mix) VALUES (?,?,?,?);
-- params [50, "h"]
INSERT INTO t (id,name) VALUES (?,?);
-- params ["i"]
INSERT INTO t (id,name) VALUES (NULL,?);
-- params [null, "j"]
INSERT INTO t (id,name) VALUES (?,?);
INSERT INTO t (name, email) VALUES ('k','a@x');
INSERT INTO t (name) VALUES (NULL);
INSERT INTO t (name,qty) VALUES ('l',-5);
INSERT OR IGNORE INTO t (name, email) VALUES ('k','a@x');
-- params ["k", null]
INSERT OR IGNORE INTO t (name, email) VALUES (?,?);
-- params [null, 1]
INSERT OR IGNORE INTO t (name,qty) VALUES (?,?);
-- params [-5]
INSERT OR IGNORE INTO t (name,qty) VALUES ('l',?);
INSERT OR IGNORE INTO t (name,qty) VALUES ('l1',1),('l3',2),('l2',-1);
INSERT OR REPLACE INTO t (name, email) VALUES ('z','a@x');
INSERT OR REPLACE INTO t (id, name, email) VALUES (2,'zz','q@x');
REPLACE INTO t (name, nc) VALUES ('d', 'NEW');
REPLACE INTO t (name, nc) VALUES ('d', 'new');
INSERT OR REPLACE INTO t (name,email) VALUES ('r1','r@x'),('r2','r@x'),('r3','s@x');
INSERT OR REPLACE INTO t (name,email) SELECT name||'!', email FROM t WHERE email IS NOT NULL;
INSERT OR REPLACE INTO t (id,name,qty) VALUES (1,'one',(SELECT COALESCE(qty,0)+1 FROM t WHERE id=1));
INSERT INTO t (name,email) VALUES ('u1','r@x') ON CONFLICT(email) DO UPDATE SET name=excluded.name, qty=qty+1;
-- params ["u2", "r@x", 5]
INSERT INTO t (name,email,qty) VALUES (?,?,?) ON CONFLICT(email) DO UPDATE SET qty=excluded.qty+t.qty WHERE excluded.qty>2;
INSERT INTO t (name,email) VALUES ('u3','n@x'),('u4','n@x') ON CONFLICT(email) DO UPDATE SET name=excluded.name;
INSERT INTO t (name,email) VALUES ('u5','n@x') ON CONFLICT DO NOTHING;
INSERT INTO t (name,email) VALUES ('u6','n@x') ON CONFLICT(email) DO NOTHING RETURNING id;
INSERT INTO t (name, nc) VALUES ('d','NEW') ON CONFLICT(name,nc) DO UPDATE SET qty=77;
UPDATE t SET flag = NOT flag;
UPDATE t SET flag = 0 WHERE flag = 1 AND id < 3;
-- params [true, 1]
UPDATE t SET flag = ? WHERE id = ?;
-- params [5]
UPDATE t SET qty = qty + ?, price = price * 2 WHERE name LIKE 'r%';
UPDATE t SET price = qty, qty = 2.0 WHERE id = 1;
UPDATE t SET mix = qty WHERE id < 4;
UPDATE t SET mix = 'x' || id, at = datetime('2024-01-01', '+' || id || ' days');
UPDATE t SET qty = (SELECT max(v) FROM nr) WHERE id = 1;
UPDATE t SET qty = n.v FROM nr n WHERE n.k = 'x' AND t.id = 2;
UPDATE t SET (qty, price) = (1, 2) WHERE id = 1;
UPDATE t SET (qty, price) = (SELECT v, v*2 FROM nr WHERE k='y') WHERE id = 1;
UPDATE t SET name = upper(name) WHERE id = 1 RETURNING id, name, flag;
UPDATE t SET qty = NULL WHERE qty > 6;
UPDATE t SET price = '12' WHERE id = 1;
UPDATE t SET price = 5 WHERE id = 2;
UPDATE t SET id = 99 WHERE id = 2;
UPDATE t SET email = 'r@x';
UPDATE t AS x SET qty = x.qty + 1 WHERE x.id = 1;
DELETE FROM t WHERE id = 1;
DELETE FROM t WHERE id NOT IN (SELECT DISTINCT id FROM t WHERE flag = 1);
DELETE FROM t WHERE name LIKE '%!' RETURNING id;
DELETE FROM t WHERE at < datetime('now','-1 day') AND id = 50;
INSERT INTO nr VALUES ('z', 3);
INSERT INTO nr (rowid,k,v) VALUES (10,'q',4);
INSERT INTO nr SELECT k||'2', v*2 FROM nr;
INSERT INTO nr (v) SELECT count(*) FROM t;
INSERT INTO nr DEFAULT VALUES;
DELETE FROM nr WHERE rowid = 1;
UPDATE nr SET v = v + 1 WHERE rowid > 2;
-- params ["b", null]
INSERT INTO nr VALUES (?,?);
-- params {"k": "n", "v": 12}
INSERT INTO nr VALUES (:k,:v);
-- params ["same"]
INSERT INTO nr (k) VALUES (?1);
INSERT INTO nr (k,v) VALUES ('m1',1),('m2',2),('m3',3);
INSERT OR REPLACE INTO w VALUES ('p',5);
INSERT OR REPLACE INTO w (k) VALUES ('p');
INSERT INTO w (k,v) VALUES ('p',1) ON CONFLICT(k) DO UPDATE SET v = v + 10;
INSERT OR IGNORE INTO w VALUES ('p',0),('q',1);
REPLACE INTO w SELECT k, v*2 FROM w;
DELETE FROM w;
INSERT INTO log (msg) VALUES ('50% off? :x');
-- params ["it's 100% \\ ? :a"]
INSERT INTO log (msg) VALUES (?);
UPDATE log SET msg = msg || ' %s' WHERE id = 1;
DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY id LIMIT 1);
DELETE FROM t ORDER BY id DESC LIMIT 1;
WITH x AS (SELECT 'cte' AS n) INSERT INTO t (name) SELECT n FROM x;
WITH x AS (SELECT id FROM t LIMIT 2) DELETE FROM t WHERE id IN (SELECT id FROM x);
WITH x(v) AS (SELECT 5) UPDATE t SET qty = (SELECT v FROM x) WHERE id > 0;
INSERT INTO t (name) VALUES ('last') RETURNING *;
INSERT INTO t (NAME, Qty) VALUES ('case', 1);
insert into T(name) values('low');
UPDATE OR IGNORE t SET email = 'b@x' WHERE id = 1;
-- params ["new@x", 1]
UPDATE OR IGNORE t SET email = ? WHERE id = ?;
UPDATE OR IGNORE t SET name = NULL WHERE id = 2;
UPDATE OR IGNORE t SET qty = qty - 2;
-- params [-1, "q"]
UPDATE OR IGNORE t SET qty = ?, name = ? WHERE id = 1;
UPDATE OR REPLACE t SET email = 'b@x' WHERE id = 1;
UPDATE OR REPLACE t SET name='c', nc='Z' WHERE id = 1;
UPDATE OR REPLACE t SET qty = 4;
UPDATE OR REPLACE w SET k = 'zz' WHERE k = 'p';
UPDATE OR IGNORE w SET v = v + 1;
UPDATE OR FAIL w SET v = 3;
UPDATE OR ABORT w SET v = 3 WHERE k='p';
UPDATE OR IGNORE t SET id = 3 WHERE id = 1;
UPDATE OR REPLACE t SET id = 3 WHERE id = 1;
