SELECT DISTINCT user_id FROM participants
