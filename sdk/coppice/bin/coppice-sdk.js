#!/usr/bin/env node
// There before anything is built: npm links a program only when its file exists.
import '../dist/bin/main.js';
