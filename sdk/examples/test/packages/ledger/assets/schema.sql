CREATE TABLE IF NOT EXISTS entries (id serial PRIMARY KEY, what text NOT NULL, cents integer NOT NULL);
