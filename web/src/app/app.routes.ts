import type { Routes } from '@angular/router';
import { part } from './state/again';

export const routes: Routes = [
  {
    path: 'login',
    title: 'Log in – Coppice',
    loadComponent: () => part(() => import('./login/login.page')).then(m => m.LoginPage),
  },
  {
    path: 'services',
    title: 'Services – Coppice',
    loadComponent: () => part(() => import('./services/services.page')).then(m => m.ServicesPage),
  },
  {
    path: 'services/:id',
    loadComponent: () => part(() => import('./service/service.page')).then(m => m.ServicePage),
    loadChildren: () => part(() => import('./service/service.routes')).then(m => m.serviceRoutes),
  },
  {
    path: 'access',
    title: 'Access – Coppice',
    loadComponent: () => part(() => import('./access/access.page')).then(m => m.AccessPage),
  },
  { path: '**', redirectTo: 'services' },
];
