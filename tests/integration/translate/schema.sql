-- The tables of queries.sql.
CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, qty INTEGER, price REAL, flag BOOLEAN DEFAULT 1, at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, data BLOB, mix, nc TEXT COLLATE NOCASE, dec DECIMAL(10,2));
INSERT INTO t VALUES (1,'apple',5,1.5,1,'2024-01-15 10:30:00',x'01ff',5,'Abc',1.5),(2,'Banana',NULL,2.25,0,'2024-02-29 23:59:59',x'','text','aBC',2),(3,'cherry',-3,NULL,1,'2024-12-31 00:00:00',NULL,2.5,'def','x'),(4,NULL,0,0.0,NULL,NULL,x'6162','10',NULL,NULL),(5,'Äpfel',100,-1.25,1,'2024-01-15T10:30:00.123',x'00',NULL,'DEF',10),(6,'12abc',7,1e10,0,'2024-06-01',x'31',x'7a','zz',0.5);
CREATE TABLE u (id INTEGER PRIMARY KEY AUTOINCREMENT, t_id INTEGER, tag TEXT, score INTEGER, UNIQUE(t_id, tag));
INSERT INTO u (t_id,tag,score) VALUES (1,'a',10),(1,'b',20),(2,'a',NULL),(9,'z',5),(NULL,'n',7);
CREATE TABLE w (k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID;
INSERT INTO w VALUES ('x','1'),('a','2'),('m',NULL);
CREATE TABLE tables ("order" TEXT, [group] INTEGER, `user` TEXT, "select" REAL);
INSERT INTO tables VALUES ('o',1,'u',1.5),('p',2,'v',NULL);
CREATE VIEW vt AS SELECT id, name, qty*2 AS dbl FROM t WHERE qty IS NOT NULL;
