import type { Routes } from '@angular/router';
import { part } from '../state/again';

export const serviceRoutes: Routes = [
  { path: '', pathMatch: 'full', loadComponent: () => part(() => import('./overview.page')).then(m => m.OverviewPage) },
  { path: 'actions', loadComponent: () => part(() => import('./actions.page')).then(m => m.ActionsPage) },
  { path: 'logs', loadComponent: () => part(() => import('./logs.page')).then(m => m.LogsPage) },
  { path: 'why', loadComponent: () => part(() => import('./why.page')).then(m => m.WhyPage) },
  { path: 'about', loadComponent: () => part(() => import('./about.page')).then(m => m.AboutPage) },
];
