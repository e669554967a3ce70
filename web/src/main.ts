import { bootstrapApplication } from '@angular/platform-browser';
import * as z from 'zod/mini';
import { App } from './app/app';
import { appConfig } from './app/app.config';

// zod compiles schemas with `new Function` where it may; our content security policy forbids that,
// and even the attempt is reported as a violation.
z.config({ jitless: true });

bootstrapApplication(App, appConfig).catch((error: unknown) => console.error(error));
