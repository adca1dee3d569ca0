int   b;
