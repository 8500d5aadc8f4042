-- What days, weeks and months of users follow from, kept while events are counted. Of a UTC day:
-- 'stay' n: users seen on it whose next day is n days later; 30 for those who were not seen within the 29 days after it; 0 for
-- all users of a day that waits to be filled, which has nothing else.
-- 'cohort' n: users whose first event came on it (0), and those of them who were seen 1, 7 and 30 days later.
-- A day is kept when it has its 'cohort' 0, and right when the stays of every day add up to its users in `rollups`: programs
-- that know nothing of this table leave it wrong in a way that is seen, and the days that they spoilt are filled anew.
CREATE TABLE rollup_days (
    day date NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('stay', 'cohort')),
    number int NOT NULL,
    users bigint NOT NULL,
    PRIMARY KEY (day, kind, number)
) WITH (fillfactor = 70);
