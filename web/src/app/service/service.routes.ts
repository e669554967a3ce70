import type { Routes } from '@angular/router';

export const serviceRoutes: Routes = [
  { path: '', pathMatch: 'full', loadComponent: () => import('./overview.page').then(m => m.OverviewPage) },
  { path: 'actions', loadComponent: () => import('./actions.page').then(m => m.ActionsPage) },
  { path: 'logs', loadComponent: () => import('./logs.page').then(m => m.LogsPage) },
  { path: 'why', loadComponent: () => import('./why.page').then(m => m.WhyPage) },
  { path: 'about', loadComponent: () => import('./about.page').then(m => m.AboutPage) },
];
